package show

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
)

const lookEvery = 150 * time.Millisecond

// Settle watches a tree until it settles, with a line for each change of a
// child's status, and says why if it does not before ctx ends. It is settled
// when no child is on its way anywhere, twice in a row with the same lives, so
// that a child that dies at once is not taken for one that runs.
func Settle(ctx context.Context, w io.Writer, name string, s Style, look func(context.Context) (api.TreeStatus, error)) error {
	began := time.Now()
	var t, last api.TreeStatus
	seen := make(map[string]string)
	for calm := 0; ; {
		now, err := look(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil:
			last, t = t, now
			progress(w, t, seen, s)
			if calm++; !settled(t) || !sameLives(last, t) {
				calm = 0
			}
		}
		if calm > 0 || t.Status == "failed" || stuck(t.Rollout) {
			return verdict(w, t, time.Since(began), s)
		}
		wait := time.NewTimer(lookEvery)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return fmt.Errorf("tree %s has not settled after %v: %s", name, time.Since(began).Round(time.Second), Unsettled(t))
		}
	}
}

func progress(w io.Writer, t api.TreeStatus, seen map[string]string, s Style) {
	if r := t.Rollout; r != nil {
		if now := fmt.Sprint(r.Status, r.Done, r.Total); seen[""] != now {
			seen[""] = now
			fmt.Fprintln(w, "  "+rolloutLine(r, s))
		}
	}
	for _, ch := range t.Children {
		if ch.Supervisor || seen[ch.Path] == ch.Status+ch.Node {
			continue
		}
		seen[ch.Path] = ch.Status + ch.Node
		line := fmt.Sprintf("  %-20s  %s", Clean(ch.Path), s.paint(colorOf(ch.Status), fmt.Sprintf("%-8s", ch.Status)))
		if ch.Node != "" {
			line += "  on " + Clean(ch.Node)
		}
		if n := note(ch); n != "" {
			line += "  (" + Clean(n) + ")"
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// settled: no worker is on its way to another status.
func settled(t api.TreeStatus) bool {
	for _, ch := range t.Children {
		if ch.Supervisor {
			continue
		}
		switch ch.Status {
		case "running", "finished", "stopped", "failed", "away", "paused":
		default:
			return false
		}
	}
	return t.Status != "" && !rolling(t.Rollout)
}

func sameLives(a, b api.TreeStatus) bool {
	if len(a.Children) != len(b.Children) || a.Status != b.Status {
		return false
	}
	for i := range a.Children {
		if a.Children[i].Epoch != b.Children[i].Epoch || a.Children[i].Status != b.Children[i].Status {
			return false
		}
	}
	return true
}

// verdict says how a settled tree is: an error unless all is as it should be.
func verdict(w io.Writer, t api.TreeStatus, took time.Duration, s Style) error {
	if r := t.Rollout; stuck(r) || r != nil && r.Status == "reverted" {
		return fmt.Errorf("the update of tree %s is %s: %s", t.Name, r.Status, Clean(r.Why))
	}
	failed := t.Status == "failed" || t.Status == "degraded"
	for _, ch := range t.Children {
		failed = failed || ch.Status == "failed"
	}
	if failed {
		return fmt.Errorf("tree %s is %s: %s", t.Name, t.Status, Unsettled(t))
	}
	fmt.Fprintf(w, "tree %s is %s (after %v)\n", Clean(t.Name), s.paint(colorOf(t.Status), t.Status), took.Round(10*time.Millisecond))
	return nil
}

// Unsettled names the children that are not as they should be, one a line, with
// their reasons.
func Unsettled(t api.TreeStatus) string {
	var b strings.Builder
	for _, ch := range t.Children {
		if ch.Supervisor && ch.Status != "failed" {
			continue
		}
		switch ch.Status {
		case "running", "finished":
			continue
		}
		fmt.Fprintf(&b, "\n%s is %s", Clean(ch.Path), ch.Status)
		if ch.Reason != "" {
			b.WriteString(": " + Clean(ch.Reason))
		}
	}
	if t.Rollout != nil {
		b.WriteString("\n" + rolloutLine(t.Rollout, Style{}))
	}
	if b.Len() == 0 {
		return "the cluster has not answered"
	}
	return b.String() + "\n`selfware-node why PATH` tells more"
}
