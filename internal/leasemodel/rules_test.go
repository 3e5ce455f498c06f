package leasemodel

import (
	"strings"
	"testing"
)

// withoutRule says, for each rule, which promise its absence breaks, where.
var withoutRule = map[Rule]struct {
	scope Scope
	want  Promise
}{
	ShortWait:            {Scope{Lives: 2}, P13},
	NewLeaderDoesNotWait: {Scope{Lives: 2, Elections: 1, Connects: 1}, P13},
	GrantWithoutVerify:   {Scope{Lives: 2, Elections: 1, Connects: 1}, P13},
	VerifyBeforeReceipt:  {Scope{Lives: 2, Elections: 1, Connects: 1}, P13},
	KeeperMissing:        {Scope{Lives: 2, Pauses: 1}, P13},
	HoldRevives:          {Scope{Lives: 2, Freezes: 1, Connects: 1}, P13},
	RestartTrustsNow:     {Scope{Lives: 2, Crashes: 1}, P13},
	TrustFromReceipt:     {Scope{Lives: 2}, P13},
	StartWithoutLease:    {Scope{Lives: 2}, P13},
	StartBeforeFence:     {Scope{Lives: 2}, P13},
	GrantWhileCondemning: {Scope{Lives: 2}, P13},
	RenewBeforeOrders:    {Scope{Lives: 2, Connects: 1}, P13},
	OrdersOutliveSession: {Scope{Lives: 2, Connects: 1}, P13},
	GrantOutlivesSession: {Scope{Lives: 2, Connects: 1}, P13},
	OrderBeforeCommit:    {Scope{Lives: 2}, P12},
	ReuseEpoch:           {Scope{Lives: 2}, P1},
	DedupeOff:            {Scope{Lives: 3}, P7},
	ResourceDoesNotCheck: {Scope{Lives: 2, Freezes: 1, Resource: true}, P13Fence},
}

// TestEveryRuleIsNeeded leaves out one rule at a time: each time the promise that
// it is there for breaks, in a scope in which it holds with the rule.
func TestEveryRuleIsNeeded(t *testing.T) {
	for r := None + 1; r < rules; r++ {
		t.Run(r.String(), func(t *testing.T) {
			if testing.Short() && (r == VerifyBeforeReceipt || r == HoldRevives) {
				t.Skip("a million states")
			}
			c, ok := withoutRule[r]
			if !ok {
				t.Fatal("no scope shows what the rule is for")
			}
			c.scope.Bag, c.scope.Without, c.scope.Watch = 1, r, []Promise{c.want}
			if got := explore(t, c.scope); got.Broken != c.want {
				t.Errorf("broken: %v, want %v", got.Broken, c.want)
			}
		})
	}
}

// TestStory: a counter-example reads from the first step to the last.
func TestStory(t *testing.T) {
	r := Scope{Lives: 2, Bag: 1, Without: StartBeforeFence}.Explore()
	if len(r.Story) != r.Depth+1 {
		t.Errorf("%d steps told, the shortest way has %d", len(r.Story), r.Depth+1)
	}
	for _, line := range r.Story {
		if line == "" || strings.Contains(line, "%!") {
			t.Errorf("a step reads %q", line)
		}
	}
}

// TestMirror: a state and its mirror image count as one.
func TestMirror(t *testing.T) {
	sc := Scope{Lives: 2, Bag: 1, Elections: 1, Connects: 1}
	s := sc.start()
	for range 200 {
		m := s.mirror()
		if back := m.mirror(); back != s || m.key() != s.key() {
			t.Fatal("the mirror image of the mirror image is another")
		}
		var last state
		sc.next(&s, func(_ act, to state) { last = to })
		s = last
	}
}
