// Package nemesis does faults to a [lab.Lab], each with its evidence: a fault
// that left no trace was none, and a run whose faults were none proves nothing.
//
// # Guarantees
//
//   - All that is random in a fault is drawn from the rng given to Inject, so a
//     seed makes the same faults at the same nodes (if the same node leads).
//   - Heal undoes a fault whatever has become of its nodes meanwhile, and starts
//     those again that the fault brought down. After Heal of the last fault the
//     whole cluster is up and well connected.
//   - Evidence counts what was seen outside the cluster: packets dropped by the
//     switch, states in /proc, calls that strace failed. It does not ask the
//     nodes.
package nemesis
