// Package e2e tests the release binary as a user runs it: real processes, real
// disks, real kill -9. It has no code of its own besides tests.
//
// What each file shows: kills_test.go, that fifty killed nodes lose no child, no
// restart window and leave no orphan; window_test.go, that a restart window
// outlives its leader; bad_test.go, that bad input gets a clear error and loses
// nothing; wiped_test.go, that a lost disk is a new node; redis_test.go, that
// Debian's own servers run under it; compose_test.go, the docker-compose cluster
// and the chaos scripts.
package e2e
