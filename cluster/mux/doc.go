// Package mux lets one TCP port carry everything that the nodes of a cluster
// say to each other: raft, sessions, HTTP and join requests.
//
// It decides one thing: whether a connection comes from a holder of the
// cluster key, and for which purpose. Only then does the connection reach the
// listener of that purpose. Before, not one byte of it reaches anything else.
//
// # Handshake
//
// One round trip, then the dialer may send at once:
//
//	dialer -> hello: "selfware/2\n", purpose, cluster id, node id, nonce, start
//	mux    -> reply: "selfware/2\n", accepted, node id, nonce, start, MAC
//	                 or refused, reason, detail
//	dialer -> MAC
//
// Both MACs are HMAC-SHA256 with the cluster key over the whole transcript, so
// over both nonces, both ids, the cluster and the purpose, with a different
// label for each side: a MAC can be neither replayed nor reflected. They are
// compared in constant time. The key itself never travels.
//
// # Guarantees
//
//   - A connection from Accept was opened by a holder of the key, for the
//     purpose of that listener, under the node id that Peer returns.
//   - A connection from DialNode ends at that node and no other, although
//     addresses may have changed hands.
//   - A peer that is not authenticated costs at most one goroutine and some
//     hundred bytes, for at most HandshakeTimeout.
//   - Deadlines used by the handshake are cleared before the connection is
//     handed over, and no byte after the handshake is consumed.
//   - Both sides name the start of their process (Start). Whoever is known to have
//     started again since, or to have had more on its disk, is not spoken with: no
//     byte of raft's reaches it or comes from it.
//
// # What it does not do
//
// It authenticates; it does not encrypt, and does not protect the bytes after
// the handshake from somebody who can change packets on the path. TLS takes
// this very seam later: New gets a TLS listener and Dialer.Dial a TLS dialer.
// All nodes share one key, so a node id is the word of a key holder.
//
// # Faults and outcomes
//
//   - Wrong key: the dialer sees that the MAC of the mux is wrong: ErrWrongKey.
//   - Wrong cluster, other version, purpose not served here: the mux says so;
//     the dialer gets ErrWrongCluster, ErrVersion, ErrNoService.
//   - Another program on the port: ErrNotSelfware with the start of its answer.
//   - Nobody on the port: the error of the dial, so errors.Is(err,
//     syscall.ECONNREFUSED) holds.
//   - Silent, slow or many strangers (slow loris): when MaxPending handshakes
//     are under way, or MaxPerIP of one address, the oldest gives way to the
//     newest. An honest handshake takes one round trip and is soon over.
//   - A listener that nobody drains: connections beyond Backlog are closed.
//   - Out of file descriptors: Run waits up to a second between attempts.
//
// # Tests
//
// Tables of wrong peers over pipes in synctest bubbles and over real sockets,
// a flood of silent connections, and a fuzz test of both parsers.
package mux
