// Package lint keeps the promises that this code base makes about its own
// shape. It runs as a test, over the source of the whole module.
//
// # What it decides
//
//   - layers: which of our packages may import which, and which may import a
//     third-party module at all. A package that the list does not know fails. All may
//     import internal/bug, of which nothing is shipped.
//   - purity: supervisor (but for its local*.go), placement and fsm take no
//     clock, chance, goroutine, channel or I/O, and depend on no map's order.
//     A range over a map whose order does not matter says so in a comment on
//     its line or the line above: "// order-free: why".
//   - sizes: functions of at most 70 lines, 40 for 95 in 100, files of at most
//     500, and fewer than 15 go statements. A function that is one flat switch
//     may be longer if its comment says "flat: why".
//   - documents: each package has a doc.go, each exported name a comment, no
//     comment leaves work for later, and no test sleeps real time.
//
// # Guarantees
//
// Layers, purity and sizes concern what is shipped: files that are no tests.
// Layers and clocks are read from the source, so build tags hide nothing. Maps
// are told from slices by their types, for which the packages must compile.
//
// # Faults
//
// A file that does not parse, an unknown package and a range whose type cannot
// be told are findings, never silence.
//
// # Tests
//
// Each check is shown small samples that it must refuse and others that it must
// accept; then it reads the module.
package lint
