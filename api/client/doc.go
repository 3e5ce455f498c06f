// Package client speaks to the API of one node: over TCP, or over the unix
// socket in its data dir. The node answers for the whole cluster.
//
// # What it does by itself
//
//   - Requests have a limit of time, Config.Timeout. A node holds a request for
//     some seconds while the cluster has no leader, so an election needs nothing
//     here.
//   - Client.Follow and Client.Logs with Follow connect again after a break and
//     go on where they were. Events carry their place in the log, so none is
//     missed and none comes twice. A log has no such places: after a break it
//     goes on with what is written from then on.
//   - With Config.Breaker, callers of a node that cannot be reached fail at once and do
//     not wait each for their own time. There is none by default: who waits for a node
//     to come up wants to see it at once.
//   - Writes are not sent twice by this package; the node repeats them safely.
//
// # Errors
//
// What the node answered is an *api.Problem, with a stable code and a sentence.
// Other errors are of the connection: the node is not there, or went away.
// A stream that is silent for three times api.KeepAlive counts as broken.
//
// It is tested against a real api.Server, in package api.
package client
