// Package simnet is a network in memory for tests that run inside a testing/synctest bubble.
//
// It carries what selfware puts on a network: streams (raft, sessions, gossip's anti-entropy) and packets
// (gossip's probes). A Net is the whole network, an address is a machine on it, a Host is one process on such a
// machine. A restarted process is a new Host, so nothing of the old one can speak with the new one's voice.
//
// What it models:
//
//   - latency and jitter: per packet and per segment; a stream never reorders;
//   - loss: a packet is lost; a stream segment arrives 200 ms late and a dial 1 s late (retransmission);
//   - a cut, one way or both: packets are lost, stream bytes wait and arrive after the heal, a close behind the
//     cut is not seen, a dial waits until its context or 10 s run out;
//   - Pause (SIGSTOP of a machine as others see it): packets and bytes from and to the address wait and arrive
//     after Resume; packets beyond 1024 are lost, as in a socket buffer;
//   - packets that arrive twice or late (SetPackets); a cut of one class of traffic only (Classify, CutClass);
//   - Reset (both ends of a stream are told), HalfOpen (one end is), PowerOff (the machine is gone: nobody is told,
//     and nobody answers);
//   - CrashKeeping: as Crash, but another process holds the port, so that dials wait for the next one;
//   - Crash (the process is gone, the kernel is not): its connections close, so peers read EOF after the latency,
//     its ports refuse, its packets go nowhere.
//
// What it does not model: bandwidth, TCP's growing retransmission delay after a long cut (bytes arrive one latency
// after the heal), connections that the kernel gives up on, a reset that overtakes data.
// A class cut lets connections be made, unless the port alone tells the class, and stops what they carry.
//
// Limits: 1 MiB in flight per direction of a stream (the writer then waits), 1024 packets unread per socket and
// 1024 held per paused address (then lost), 128 connections not yet accepted (then refused).
//
// No goroutine belongs to a Net: readers wait for the arrival time of the next segment themselves, packets travel
// on time.AfterFunc. One mutex guards everything and is never held while waiting, so a bubble can always tell that
// its goroutines are durably blocked. All random numbers come from the seed; what stays random is the order in
// which synctest runs goroutines that are ready at the same instant.
//
// The tests show each fault in a bubble of its own.
package simnet
