package cluster

import (
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// A node without a leader restarts children alone (Times.Alone). The leader's part:
// to say, when a node is lost or its agent began anew, whether that may have been,
// and, when it is back, that it is over. Of an agent that began anew only a leader
// that heard the former one a moment ago, in a session of its own, knows that it was
// not alone.

// mayAct: the lost node's agent may run on. It does not if it said goodbye, or if
// nothing listens where it was.
func (s sign) mayAct() bool { return !(s.bye && s.gone > 0) && !s.refused }

// onObeyed takes the word of a node that has obeyed its orders and told all that it
// did before them.
func (l *leader) onObeyed(n link.Node) {
	lent := false
	l.n.rep.m.View(func(v fsm.View) { lent = v.Lent(n.ID) })
	if lent {
		l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeReturned, Node: &fsm.NodeRef{ID: n.ID, Boot: n.Boot}}})
	}
}
