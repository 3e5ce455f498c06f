// Command jepsen-lite runs a cluster of real processes under faults and judges
// whether it kept its promises.
//
//	jepsen-lite run --workload exclusive --nemesis kill,pause-agent --time 60s --dir OUT
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
