// Package link is what a node's agent and the leader say to each other: the
// words of a session, and their encoding.
//
// One session per node, to the leader only. Up go the node's inventory (once,
// on connect) and events; down come orders. Orders are levels: the first Down
// of a session is Full and names everything the node must make true, later ones
// carry what changed since. An agent ignores a Down that is older than the
// (term, index) it has seen, so a deposed leader cannot move it back.
//
// Faults. A lost session loses nothing: the agent keeps events until they are
// acknowledged as committed and sends them again; the core drops repeats by
// epoch. Frames are bounded by MaxFrame; a longer one, or one that does not
// decode, ends the session.
package link
