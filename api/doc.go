// Package api is the HTTP API of a node, and its words: the types here are what
// programs read and write, and package client speaks them for Go.
//
// # What it decides
//
//   - Where a request is answered. Every node takes every request. What concerns
//     the cluster goes to the leader over the cluster port; a log goes to the
//     node that holds it; a node's health, version and state hash are its own.
//     stale=true has the node answer from its own replica, at once.
//   - How long it waits. While nobody leads, a request is held and tried again
//     for Config.HoldFor, so that an election passes unseen.
//   - What an error means to a client: a Problem (RFC 9457) with a stable code and
//     a sentence that says what to do. errors.go is the one list.
//   - Names: the state speaks of node ids, answers speak of node names.
//
// The routes and their fields are in the OpenAPI 3.1 document, /openapi.json;
// testdata/operations.txt lists them.
//
// # Guarantees
//
//   - A read is linearizable: its answer holds all that was acknowledged, by any
//     node, before it was asked (P6). A stale read is not.
//   - A write is done at most once per Idempotency-Key and content; the first node
//     makes a key where there is none. So a node may send a write again when an
//     answer is lost, and a client may when it gets the code uncertain. Handing
//     leadership over and restoring a snapshot have no such protection: they are
//     sent again only if they were surely not sent before.
//   - The event stream has a place for each event. Whoever resumes at one gets
//     what follows it, without gap or repeat, at any leader; what is forgotten is
//     answered with 410 and where the history begins.
//   - Requests, streams, bodies, headers and connections have limits (P15);
//     beyond them the code is busy or too_large and nothing was done.
//
// # Trust
//
// A request is forwarded once. Headers between nodes count only on the cluster
// port, where the other end has proven to be a node; elsewhere they are dropped.
// On the public port, Host and Origin keep other web sites out (guard.go). All
// who reach the port may do everything; Server.allowed is the place for more.
//
// # Faults
//
//   - No leader: held, then 503 no_leader. Nothing was done.
//   - The leader dies while a request is under way: its answer is not waited for
//     once this node hears of it; reads and writes are sent to the next one.
//   - The leader is cut off: it cannot confirm that it leads, and says so; the
//     request is held until the others' leader is known here.
//   - The node that holds a log is lost: 502 unreachable, with its name.
//   - A stream's client is too slow: its connection is closed. A stream ends when
//     its leader is deposed; package client goes on with the next.
//   - The node stops: streams end, held requests get 503, others have 5 s.
//
// # Tests
//
// Three servers over real sockets and one log without raft: forwarding, leaders
// that change or vanish in the middle of a request, repeats, resumed streams.
// What takes long (slow clients, silence, waiting) runs in simulated time.
package api
