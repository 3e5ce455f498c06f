// Command overlay runs a seed of the simulation again and again, exactly: it builds the
// test binary on a Go runtime in which everything that is random within a
// testing/synctest bubble comes from one seed, and compares the hashes of the runs'
// traces.
//
//	go run ./internal/simtest/overlay -seed 7 [-days] [-runs 2] [-plan FILE]
//
// The runtime's changed files are made at use, from the installed Go, by the
// replacements in patches; nothing of Go's source is kept here. A Go release that
// moved one of the places is refused by name. Only test binaries are ever built so.
//
// What is made exact: rand(), and with it math/rand, map seeds and map order; the
// order of select cases, of timers that fall due together, and of those who wait for a
// mutex; no preemption by time, no impatience of mutexes. Besides, runs use one thread
// of Go code, no garbage collection and a seeded crypto/rand.
//
// A residue stays: what the runtime itself does outside of the bubble can still change
// the order in which two goroutines that are ready at one instant run. So a run may
// differ; docs/simulation.md says how often one did.
package main
