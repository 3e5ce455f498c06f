package cluster

import (
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
)

// TestApart: what is held back for a lost node depends on whether its agent may run.
func TestApart(t *testing.T) {
	for _, tt := range []struct {
		name string
		sign sign
		want bool
	}{
		{"silent", sign{silent: time.Minute, gossip: gossip.Dead, dead: time.Minute}, true},
		{"no session", sign{apart: time.Hour}, true},
		{"hung up, and nobody answers a knock", sign{gone: time.Second, stayed: true}, true},
		{"its port refuses", sign{gone: time.Second, stayed: true, refused: true}, false},
		{"said goodbye", sign{bye: true, gone: time.Second}, false},
		{"said goodbye, and its end is not seen", sign{bye: true, apart: time.Hour}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newState(t)
			s.node("n1", nil)
			cmds := s.next(inputs{signs: map[string]sign{"n1": tt.sign}})
			if len(cmds) != 1 || cmds[0].Type != fsm.TypeNodeLost || cmds[0].Node.Apart != tt.want {
				t.Errorf("%+v", cmds)
			}
		})
	}
}
