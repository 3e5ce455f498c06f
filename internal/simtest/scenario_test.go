package simtest

import (
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

func TestLeaderLossMovesItsChildren(t *testing.T) {
	bubble(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		s.form()
		s.apply(flat("shop", supervisor.OneForOne, 6))
		s.rests(10 * time.Second)
		s.leader().crash()
		took := s.within(10*time.Second, "all children run again", func() bool { return s.children() == "" })
		t.Logf("all children ran again after %v", took)
	})
}
