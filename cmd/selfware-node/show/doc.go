// Package show prints for people what the API tells: tables, trees, chains of
// decisions, events and plans. It asks nobody and decides nothing.
//
// Tables align by characters, not bytes; colour comes only with Style.Color and
// never changes the width. Control characters in texts of others (a label, a
// reason, a name) are shown as their codes, so that no text of a child can play
// with the terminal.
//
// # Faults
//
// A value that is not known (an unknown status of a newer node) is printed as it
// is. Writing errors are those of the writer and are not reported.
//
// # Tests
//
// Golden files under testdata for fixed values; -update rewrites them.
package show
