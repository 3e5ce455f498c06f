// Command embedded is a cluster of three nodes in one process, and a function of it that
// the cluster runs. It closes the node that the function runs on, and shows where it goes:
//
//	go run ./examples/embedded
package main
