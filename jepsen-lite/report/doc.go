// Package report makes a run visible: a timeline of lives and faults, the
// registers' histories as porcupine draws them, and a plot of how requests were
// answered, with a band for each fault. It judges nothing.
package report
