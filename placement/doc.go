// Package placement chooses a node for each waiting child, and says why: why
// this node, and why not each of the others.
//
// It is pure: the answer depends on the request and the Input alone, not on a
// clock, on chance, on the order of Input.Nodes or on the order of a map. The
// leader gathers an Input from the replicated state, asks, and proposes the
// answer as an Assign; the log decides.
//
// # What it decides
//
// A node must be eligible, carry every label of needs, have the cpu and memory
// asked for free, and run no child that this one must be apart from, in either
// direction, nor, with spread: strict, another instance of the same child. Among the
// nodes that remain, the first of these rules that names one decides:
//
//  1. Home: the node that the request belongs to (each_node), or none; then Only: the
//     node an operator named, or none.
//  2. Nodes whose circuit is open are left out, and half-open ones whose trials
//     are under way, unless no other node fits. Then the least bad serves: a
//     half-open one, or else the one that opened first. An operator's Only goes
//     before a circuit.
//  3. Nodes of Avoid are left out, unless no other node fits: a child that
//     keeps crashing on the only node is better run there than not at all.
//     A node that must be empty (drained, lost) is not eligible, which is hard.
//  4. Nodes that have more instances of the same child than another that fits are
//     left out. An operator's Only goes before that too.
//  5. Nodes that are degraded are left out while another fits that is not, but for
//     those that the next two rules name, and an operator's Only.
//  6. The preferred nodes (Placement.Nodes, by id or name), best first.
//     Names that no node has do not match, and do no harm.
//  7. Stickiness: the node it ran on last.
//  8. spread: the fewest children, then the most room left; or pack: the most
//     children, then the least room left. Room is the share of cpu or of memory
//     that would stay free, whichever is smaller, in thousandths.
//  9. A hash of child path and node id (rendezvous hashing): stable for one
//     child, different for different children, so that ties do not all fall on
//     the same node, and a node that joins or leaves shifts few.
//
// # Guarantees
//
//   - A node named in a Result fits by the rules above.
//   - Every node of the Input is either fit or named in Refusals with a reason.
//   - PlaceAll counts each placement against the next, so it never fills a node
//     beyond a capacity that is known, and apart_from holds within one call.
//   - PlaceAll gives a half-open node no more children than its circuit has room
//     for, while another node fits.
//   - The Input is never changed.
//
// # Faults
//
//   - No node fits: Result.Node is empty, and Why and Refusals say what to mend.
//   - A node whose capacity is unknown (0) has no limit.
//   - A node used beyond its capacity (its capacity shrank) takes only children
//     that ask for nothing of what is short.
//   - apart_from names a child that is nowhere: it holds back nothing.
//   - A request's own former life in Where does not hold the request back, but
//     holds back others until the caller drops it.
//
// # Tests
//
// Stories in testdata are the specification; properties over random clusters
// check the guarantees against a second, slower reading of the rules.
package placement
