package spec

import (
	"fmt"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// checkWindow refuses a budget that can never be spent, at n. Of restarts+1
// failures the first and the last are at least as far apart as the waits before
// the restarts between them; if that is longer than the window, the first has
// always left it when the last comes, and nothing is ever passed on.
func (r *reader) checkWindow(n *node, p supervisor.RestartPolicy, restarts int) bool {
	total, sum := waits(p.Backoff, restarts)
	if total <= p.MaxSeconds {
		return true
	}
	what := "fixed back-off " + secs(p.Backoff.Base)
	if p.Backoff.Kind == supervisor.Exponential {
		what = fmt.Sprintf("exponential back-off %s to %s", secs(p.Backoff.Base), secs(p.Backoff.Max))
	}
	r.fail(n, "lower the back-off or max_restarts, or raise max_seconds to "+seconds(total)+" or more",
		"max_restarts %d with %s needs %s = %s, longer than max_seconds %s: the budget can never be spent",
		restarts, what, sum, secs(total), secs(p.MaxSeconds))
	return false
}

func secs(d time.Duration) string { return seconds(d) + "s" }

// waits adds up the waits before a number of restarts, and shows the sum: each
// wait until the longest is reached, then how often that is.
func waits(b supervisor.Backoff, restarts int) (total time.Duration, sum string) {
	var terms []string
	for i := 0; i < restarts; i++ {
		wait, n := b.Duration(i), 1
		if b.Kind != supervisor.Exponential || wait == b.Max {
			n = restarts - i // all that follow are the same
		}
		total += wait * time.Duration(n)
		if n > 1 {
			terms = append(terms, fmt.Sprintf("%d × %s", n, secs(wait)))
			break
		}
		terms = append(terms, secs(wait))
	}
	const shown = 8
	if n := len(terms); n > shown {
		terms = append(append(terms[:shown-2:shown-2], "…"), terms[n-1])
	}
	return total, strings.Join(terms, " + ")
}
