package main

import (
	"os"
	"strings"
	"testing"
)

// TestScopes explores the nearest worlds of each scope; with SELFWARE_EXPLORE all of
// "make explore".
func TestScopes(t *testing.T) {
	limit := 500
	if os.Getenv("SELFWARE_EXPLORE") != "" {
		limit = 0
	}
	var sum report
	explore(shallow(), limit, func(r report) {
		sum.states, sum.steps = sum.states+r.states, sum.steps+r.steps
		if r.broken != nil {
			t.Errorf("%v\n%v\n%s", r.String(), r.broken, strings.Join(r.story, "\n"))
		}
	})
	t.Logf("%d states, %d transitions", sum.states, sum.steps)
}
