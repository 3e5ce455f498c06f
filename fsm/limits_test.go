package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// TestLimitOfLives: so many children in all trees together, those that left their
// spec and have yet to end among them.
func TestLimitOfLives(t *testing.T) {
	h := newHarness(t, "n1")
	ids := make([]string, MaxLives/4)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	for i := range 4 {
		h.must(applyTree(tree(fmt.Sprint("t", i), ids...)))
	}
	full := func(name string, ids ...string) {
		t.Helper()
		if err := h.refused(supervisor.ErrRefused, applyTree(tree(name, ids...))); !strings.Contains(err.Error(), "the limit is 200000") {
			t.Errorf("the refusal is %q", err)
		}
	}
	full("more", "a")
	full("t0", append(ids, "one")...)
	h.must(applyTree(tree("t0", ids[1:]...)), applyTree(tree("more", "a"))) // an edit makes room
	full("other", "a")
	h.must(deleteTree("more")) // nothing of it ever ran
	h.must(applyTree(tree("more", "x")))
	// One that runs leaves its spec: it counts until it has ended.
	r := h.ref("more/x")
	h.must(assign(r, "n1"), event(r, supervisor.EventStarted))
	full("more", "y", "z")
	h.must(applyTree(tree("more", "y")))
	full("more", "y")
	h.must(event(r, supervisor.EventExited))
	h.must(applyTree(tree("more", "y")))
}
