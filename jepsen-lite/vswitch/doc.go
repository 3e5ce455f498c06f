// Package vswitch is a network between network namespaces, in userspace: each
// namespace has one TUN device, the switch reads what leaves it and writes it to
// the device of the namespace that it is for. On the way it may be dropped,
// delayed, doubled or held back, by rules per directed link and class of port.
// Nothing of the kernel's traffic control is used, which many kernels lack.
//
// # Guarantees
//
//   - A packet is judged by the rule in force when it leaves its namespace; one
//     that is being delayed arrives although the link is cut meanwhile, as on a
//     real wire.
//   - Without jitter and reordering, packets of one link keep their order.
//   - Dice are seeded per directed link. Real traffic is never twice the same, so
//     a seed repeats the odds and not the packets.
//   - Every packet is counted, by what became of it.
//   - What is on its way is bounded: beyond 4096 packets per link, packets are
//     lost and counted so.
//   - A namespace here has no name. It ends with the last process in it and the
//     [Namespace] itself, so a killed tester leaves nothing behind.
package vswitch
