// Package workload gives a cluster something to do that tells whether it keeps
// its promises: trees of witnesses, clients that ask and write down what they
// were answered, and subscribers of the event stream.
//
// # What clients do
//
// A client has one operation open at a time, on any node. Values are unique. An
// operation whose outcome is not known ends its process: the client goes on under
// a new number. Registers are trees whose one child waits for a node that does not
// exist, so they cost no process; their value is a time in their file.
//
// # Outcomes
//
// ok is an answer. fail is an answer that says that nothing was done, or a
// connection that was never made. All else is info: it may be done at any later
// time. The log says which, by the name under which each operation asks.
package workload
