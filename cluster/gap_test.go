package cluster

import (
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
)

// TestGapsArePromised: an exclusive child of a lost node, leader or not, begins again
// within 8 s in profile lan and 3 s in fast, its own time to start not counted.
func TestGapsArePromised(t *testing.T) {
	for profile, most := range map[gossip.Profile]time.Duration{gossip.LAN: 8 * time.Second, gossip.Fast: 3 * time.Second} {
		for _, g := range gaps(t, profile, true) {
			if g.Length() > most {
				t.Errorf("%s, %s: %v, promised are %v", profile, g.Fault, g.Length(), most)
			}
		}
	}
}

// TestGapsAreSound: each fault once, in order; an exclusive child is never away for a
// shorter time than another; and where it ran on, its successor waits for its end.
func TestGapsAreSound(t *testing.T) {
	for _, p := range []gossip.Profile{gossip.LAN, gossip.Fast, gossip.WAN} {
		times := TimesOf(p)
		exclusive, shared := gaps(t, p, true), gaps(t, p, false)
		if len(exclusive) != len(Faults) || len(shared) != len(Faults) {
			t.Fatalf("%s: %d and %d gaps", p, len(exclusive), len(shared))
		}
		for i, f := range Faults {
			if exclusive[i].Fault != f || shared[i].Fault != f || exclusive[i].Length() < shared[i].Length() {
				t.Errorf("%s: %+v, %+v", p, exclusive[i], shared[i])
			}
		}
		if g := exclusive[2]; g.Length() < times.W()-times.Fence {
			t.Errorf("%s: %s takes only %v", p, g.Fault, g.Length())
		}
		if g := exclusive[3]; g.Length() < times.Stall+times.W()-times.Fence {
			t.Errorf("%s: %s takes only %v", p, g.Fault, g.Length())
		}
		if g := exclusive[4]; g.Length() < times.W()-times.Soft {
			t.Errorf("%s: %s takes only %v", p, g.Fault, g.Length())
		}
	}
}

func TestGapsOfNoProfile(t *testing.T) {
	if _, err := GapsOf("moon", true); err == nil {
		t.Error("a profile that is none has gaps")
	}
}

func gaps(t *testing.T, p gossip.Profile, exclusive bool) []Gap {
	t.Helper()
	all, err := GapsOf(string(p), exclusive)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
