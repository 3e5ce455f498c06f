// Command jepsen-lite runs a cluster of real processes under faults and judges
// whether it kept its promises.
//
//	jepsen-lite run --workload exclusive --nemesis kill,pause-agent --time 60s --dir OUT
//	jepsen-lite run --workload fenced --nemesis partition-one+pause-agent --dir OUT
//	jepsen-lite matrix --workload exclusive,fenced --nemesis all --time 20s --dir OUT
//	jepsen-lite check OUT
//	jepsen-lite list
//
// It exits with 0 if the run was valid, 1 if it was not, 2 if it could not test.
//
// # A run
//
// A lab (package lab) brings up nodes of the release binary. Witnesses (package
// witness) are the children; clients and subscribers (package workload) ask. For
// Time, a nemesis (package nemesis) does one fault after the other, drawn from the
// seed. Then all is healed, everything must run again, everything is read once
// more, the nodes are killed and their disks read (package offline). What was
// written down (package history) is judged (package check) and told (package
// report).
//
// A+B does two faults that overlap: the second comes up to a second after the first,
// which of them heals first is drawn, and each is judged by its own times and nodes.
// Two that would undo each other's work are refused, as are a stopped keeper and a
// dead agent, with which nobody is left who could end a child.
//
// What is excused rests on what was seen, not on names: nemesis.jsonl says which
// nodes stood still as a whole and which could reach no majority, and when.
//
// A clock can be set wrong only in a build for that purpose: for clock-* nodes are built
// from the module that jepsen-lite stands in, whatever --binary says; outside of it they
// are refused, and a matrix says so before its first cell.
//
// # A matrix
//
// Each workload under each nemesis, a run each: matrix.json for programs, matrix.md
// for people, both written after each cell. A cell takes its time of faults, about
// half a minute more, and never over four minutes more; --limit ends the whole.
//
// # What OUT holds
//
// results.json with `valid` and a row per checker, the streams, the log of each
// node, timeline.html, registers.html and plot.svg, and, if the run was not valid, what
// the nodes had on disk.
//
// # Limits
//
// Real processes cannot be replayed: a seed gives the same faults and the same
// operations, not the same run.
package main
