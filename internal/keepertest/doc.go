// Package keepertest gives tests a keeper: the test binary itself, executed again.
//
// A test binary that uses it calls Main first in TestMain. Start then runs a keeper
// whose agent is the test itself, and which ends with the connection.
//
// # Faults
//
// A keeper that does not start closes the connection at once, so attaching fails.
//
// # Tests
//
// It is used by those of runner, agent and keeper.
package keepertest
