package agent

import "github.com/selfware/selfware/link"

// Introduce has the leader learn of the node's labels as they are now. It may be called
// at any time.
func (a *Agent) Introduce() {
	select {
	case a.introduce <- struct{}{}:
	default: // it has yet to be done
	}
}

// node is what the node says of itself.
func (a *Agent) node() link.Node {
	n := a.cfg.Node
	if a.cfg.Labels != nil {
		n.Labels = a.cfg.Labels()
	}
	return n
}

// reintroduce begins another session: a node says what it is in its first message, and
// only there. Events that were not acknowledged are said again, as in any other.
func (a *Agent) reintroduce() {
	if a.ses != nil && a.ses.greeted { // else it has yet to say it
		a.ses.close(errChanged)
	}
}
