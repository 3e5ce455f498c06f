package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/gossip"
)

func TestJudge(t *testing.T) {
	times := TimesOf(gossip.LAN)
	tests := []struct {
		name string
		sign sign
		why  string // part of the reason; empty: not lost
	}{
		{"in session", sign{session: true, gossip: gossip.Alive}, ""},
		{"a living session outweighs gossip", sign{session: true, silent: time.Second, gossip: gossip.Dead}, ""},
		{"gossip alone is not enough", sign{silent: times.Silence - 1, gossip: gossip.Dead, dead: time.Minute}, ""},
		{"silence alone is not enough", sign{silent: times.Unreachable - 1, gossip: gossip.Alive}, ""},
		{"suspicion is not enough", sign{silent: times.Unreachable - 1, gossip: gossip.Suspect}, ""},
		{"gossip does not know it", sign{silent: times.Unreachable - 1}, ""},
		{"silent and dead", sign{silent: times.Silence, gossip: gossip.Dead, dead: times.Grace}, "dead by gossip"},
		{"silent and just dead", sign{silent: times.Silence, gossip: gossip.Dead, dead: times.Grace - 1}, ""},
		{"silent and left", sign{silent: times.Silence, gossip: gossip.Left, dead: times.Grace}, "left by gossip"},
		{"silent in a session that hangs", sign{session: true, silent: times.Silence, gossip: gossip.Dead}, "silent for 2.9s"},
		{"no session for long", sign{silent: times.Unreachable, gossip: gossip.Alive}, "no session for 20s"},
		{"it answers, and opens no session", sign{apart: times.Unreachable, gossip: gossip.Alive}, "no session for 20s"},
		{"it answers, and has time to open one", sign{apart: times.Unreachable - 1, gossip: gossip.Dead, dead: time.Minute}, ""},
		{"gone, and not looked for after its grace", sign{gone: times.Grace}, ""},
		{"gone, grace over", sign{gone: times.Grace, stayed: true}, "ended 250ms ago"},
		{"gone, and back", sign{gone: times.Grace, stayed: true, session: true}, ""},
		{"goodbye, still there", sign{bye: true, session: true}, ""},
		{"goodbye, and gone", sign{bye: true, gone: 1}, "its agent has ended"},
		{"comes back, and is silent", sign{bye: true, returns: true, gone: times.Return - 1, silent: times.Silence, gossip: gossip.Dead, dead: time.Minute}, ""},
		{"does not come back", sign{bye: true, returns: true, gone: times.Return}, "its agent has ended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			why, lost := judge(times, tt.sign)
			if lost != (tt.why != "") || !strings.Contains(why, tt.why) {
				t.Errorf("lost %v (%s), want %q", lost, why, tt.why)
			}
		})
	}
}

// TestTimesBelongTogether: what the guarantees say of the times of a profile.
func TestTimesBelongTogether(t *testing.T) {
	for _, p := range []gossip.Profile{gossip.LAN, gossip.Fast, gossip.WAN} {
		c := TimesOf(p)
		if c.Lease > c.Heartbeat || c.Heartbeat > c.Election {
			t.Errorf("%s: raft wants lease <= heartbeat <= election: %+v", p, c)
		}
		if c.Silence < 3*c.Ping || c.Unreachable < 2*c.Silence || c.Grace >= c.Silence {
			t.Errorf("%s: a node must have several pings to answer, and its grace be shorter than silence: %+v", p, c)
		}
	}
	if TimesOf("") != TimesOf(gossip.LAN) {
		t.Error("no profile is not lan")
	}
	if s := TimesOf(gossip.LAN).Silence; s <= 2*time.Second {
		t.Errorf("P16: a pause of 2 s must not be a death, and %v is", s)
	}
}

// TestKnockAtADyingAgent: an agent that ends while it is being knocked at says
// nothing of its node: its keeper may start the next one, as in the upgrade of a
// leader, whose successor has not heard its goodbye. Found by upgrading three nodes
// in a row.
func TestKnockAtADyingAgent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hungUp bool
		probed probed
		gone   bool
	}{
		{"answers", true, probed{alive: true}, false},
		{"cut", false, probed{cut: true}, false},
		{"cut after it hung up", true, probed{cut: true}, false},
		{"refused", false, probed{refused: true}, true},
		{"refused after it hung up", true, probed{refused: true}, true},
		{"silent after it hung up", true, probed{}, true},
		{"silent", false, probed{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &contact{heard: time.Now().Add(-time.Second), probing: true}
			if tt.hungUp {
				c.hungUp = time.Now().Add(-time.Second)
			}
			l := &leader{n: &Node{times: TimesOf(gossip.LAN)}, contacts: map[string]*contact{"n1": c}}
			tt.probed.id, tt.probed.at = "n1", time.Now()
			l.onProbe(tt.probed)
			if gone := !c.gone.IsZero(); gone != tt.gone || c.probing {
				t.Errorf("gone %v, probing %v", gone, c.probing)
			}
		})
	}
}

// TestLastKnock: a node is lost for want of its agent only if a knock after its grace
// finds it gone still. It may be back long before, and not know yet who leads. Found
// by TestAgentRestartKeepsNode of the simulation, once in hundreds of runs.
func TestLastKnock(t *testing.T) {
	grace := TimesOf(gossip.LAN).Grace
	for _, tt := range []struct {
		name         string
		last         probed
		after        time.Duration // of the knock, since its agent is gone
		gone, stayed bool
	}{
		{"refused within its grace", probed{refused: true}, grace - time.Millisecond, true, false},
		{"refused after its grace", probed{refused: true}, grace, true, true},
		{"silent past its grace", probed{}, 0, true, true},
		{"answers after its grace", probed{alive: true}, grace, false, false},
		{"cut after its grace", probed{cut: true}, grace, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := &contact{heard: began, hungUp: began}
				l := &leader{n: &Node{times: TimesOf(gossip.LAN)}, contacts: map[string]*contact{"n1": c}}
				l.onProbe(probed{id: "n1", at: began, refused: true})
				if c.gone != began || c.stayed {
					t.Fatalf("at the first knock: gone %v, stayed %v", c.gone, c.stayed)
				}
				tt.last.id, tt.last.at = "n1", began.Add(tt.after)
				time.Sleep(2 * grace) // for the answer
				l.onProbe(tt.last)
				if gone := !c.gone.IsZero(); gone != tt.gone || c.stayed != tt.stayed {
					t.Errorf("gone %v, stayed %v", gone, c.stayed)
				}
			})
		})
	}
}
