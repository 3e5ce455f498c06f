package cluster

import "github.com/selfware/selfware/function"

// Func is a function that runs as a child of the cluster, and Life is what it is told of
// its life, and says of itself.
type (
	Func = function.Func
	Life = function.Life
)

// Register has children with func: name run as f, on this node among others. It may be
// called at any time, and holds for as long as the node lives: the cluster begins at once
// to take the node for one that has the function. A name that is taken or cannot be one
// is refused, and so is all on a node that is not embedded in a program.
func (n *Node) Register(name string, f Func) error {
	if n.cfg.Functions == nil {
		return function.ErrNone
	}
	return n.cfg.Functions.Register(name, f)
}
