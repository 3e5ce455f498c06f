// Package bug holds the switch of the seeded bugs, which test the tests.
//
// A seeded bug is a wrong line at its natural place, behind "if bug.On(name)". In
// every normal build On is a constant false that is compiled away, name and all;
// TestNoBugIsShipped looks for the names in the binary. With the build tag
// seeded_bugs it compares with SELFWARE_BUG in the environment.
//
// Every bug is assigned the checker that must catch it (package hunt, the list is
// in docs/reliability.md). "make bugs" runs all, "make test" three at random.
//
// Any package may import this one, the pure core too: internal/lint makes that
// exception because the bugs must sit where bugs would, and because of what is
// shipped nothing of it remains.
package bug
