// Command overlay runs seeds of the simulation again and again, exactly: it builds the
// test binary on a Go runtime in which nothing but the seed decides what runs when, and
// compares the runs' traces and their schedules: which goroutine ran at which simulated
// nanosecond.
//
//	go run ./internal/simtest/overlay [-seed 7] [-seeds 1] [-runs 2] [-days] [-plan FILE] [-steps DIR]
//
// It fails if any run is not like the first of its seed, or fails itself. With -steps
// each run leaves a file of all its steps: the first line that two of them do not share
// is where to look.
//
// The runtime's changed files are made at use, from the installed Go, by the
// replacements in patches; nothing of Go's source is kept here. A Go release that
// moved one of the places is refused by name. Only test binaries are ever built so.
//
// What is taken from the runtime, and why, is said beside each patch. Three things come
// to it from here: the process has one thread for Go code, a fixed environment, and a
// seeded crypto/rand.
package main
