package health

import (
	"strings"
	"testing"
	"time"
)

// TestClock: slewing is no jump, a jump either way counts for as long as it holds, and one
// in the meantime begins that anew.
func TestClock(t *testing.T) {
	var wall, steady time.Duration
	c := &Clock{Read: func() (time.Duration, time.Duration) { return wall, steady }}
	steps := []struct {
		wall, steady time.Duration
		words        string // "" is healthy
	}{
		{time.Hour, 5 * time.Second, ""}, // the first look has nothing to compare with
		{5*time.Second + 900*time.Millisecond, 5 * time.Second, ""},
		{6 * time.Second, 5 * time.Second, ""}, // exactly what is borne
		{15 * time.Second, 5 * time.Second, "jumped forward by 10s"},
		{30 * time.Second, 30 * time.Second, "jumped forward by 10s"},
		{28 * time.Second, 30 * time.Second, "jumped back by 2s"},
		{59 * time.Second, 59 * time.Second, "jumped back by 2s"},
		{time.Second, time.Second, ""}, // a minute after
	}
	for i, s := range steps {
		wall, steady = wall+s.wall, steady+s.steady
		got := c.Check(t.Context())
		if healthy := got == Healthy(); healthy != (s.words == "") || !strings.Contains(got.Reason, s.words) {
			t.Errorf("look %d: %v, want %q", i, got, s.words)
		}
		if s.words != "" && got.Severity != Critical {
			t.Errorf("look %d: %v", i, got)
		}
	}
	if got := (&Clock{}).Check(t.Context()); !got.IsHealthy() {
		t.Errorf("this machine, at the first look: %v", got)
	}
}
