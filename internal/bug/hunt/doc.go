// Command hunt tests the tests: it seeds bugs, one at a time, and runs the checker
// that must catch each.
//
//	go run ./internal/bug/hunt              all of them
//	go run ./internal/bug/hunt -n 3         three at random; the seed is printed
//	go run ./internal/bug/hunt -n 3 -seed 7 the same three again
//	go run ./internal/bug/hunt vote-two-writes
//
// The test binaries are built once, with the tag seeded_bugs. A checker must pass
// without a bug, and with it fail, by its own name, within the bug's budget. It
// exits 0 if all were caught, 1 if not, 2 if it could not hunt.
//
// -seeds N runs N seeds of the simulation against each bug as well, and notes what
// the simulation says, if it notices. It is the second line: it need not catch every
// bug, since some are out of its sight (disks, processes, the API).
//
// -markdown FILE writes the table into the file, in the place of the former one; it needs
// all bugs.
package main
