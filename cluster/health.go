package cluster

import (
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// maxReason bounds what the log keeps of a node's words about itself, in bytes.
const maxReason = 512

// onHealth takes what a node says of itself. Said again, it is no news for the log.
func (l *leader) onHealth(n link.Node, h link.Health) {
	if len(h.Reason) > maxReason {
		h.Reason = h.Reason[:maxReason]
	}
	isNews := false
	l.n.rep.m.View(func(v fsm.View) { isNews = news(v, n.ID, &h) })
	if isNews {
		l.propose(&proposal{cmd: fsm.Command{
			Type: fsm.TypeNodeHealth, Node: &fsm.NodeRef{ID: n.ID, Boot: n.Boot}, Health: &h,
		}})
	}
}

// news: the log has another word of the node than this one.
func news(v fsm.View, id string, h *link.Health) bool {
	n, err := v.Node(id)
	return err == nil && n.Health != *h
}
