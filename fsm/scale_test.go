package fsm

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// poolTree is a tree with one pool, "jobs".
func poolTree(name string, size, most int) supervisor.Spec {
	spec := tree(name, "jobs")
	spec.Children[0].Pool = &supervisor.Pool{Size: size, Max: most, RestartPolicy: supervisor.RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute}}
	return spec
}

func scale(path string, size int) Command {
	return Command{Type: TypeScale, Scale: &Scale{Path: path, Size: size}, By: "ann"}
}

func (h *harness) instances(pool string) (n int) {
	h.m.View(func(v View) {
		for _, c := range v.Tree(supervisor.TreeName(pool)).Children() {
			if strings.HasPrefix(c.Path, pool+"/") && c.Phase != supervisor.PhaseStopping {
				n++
			}
		}
	})
	return n
}

// TestScaleIsOfTheState: a pool's size is in the log, the stream says who set it, a
// snapshot keeps it, a repeat of the request is done once, and an apply does not undo it.
func TestScaleIsOfTheState(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(poolTree("shop", 2, 5)))
	h.placeAll("n1")
	runs := h.ref("shop/jobs/1")
	h.must(scale("shop/jobs", 4).with("r1"))
	if h.must(scale("shop/jobs", 3).with("r2")); h.instances("shop/jobs") != 3 {
		t.Errorf("%d instances, want 3", h.instances("shop/jobs"))
	}
	h.must(scale("shop/jobs", 4).with("r1")) // again
	if h.instances("shop/jobs") != 3 || h.ref("shop/jobs/1") != runs {
		t.Errorf("%d instances, the first is %v and was %v", h.instances("shop/jobs"), h.ref("shop/jobs/1"), runs)
	}
	sameState(t, "a copy", h.m, h.restored().m)
	h.must(applyTree(poolTree("shop", 2, 5)))
	if h.restored().instances("shop/jobs") != 3 {
		t.Error("an apply of the same size has undone the scale")
	}
	h.must(applyTree(poolTree("shop", 1, 5)))
	if h.instances("shop/jobs") != 1 {
		t.Errorf("%d instances, the file says 1", h.instances("shop/jobs"))
	}
	h.refused(ErrUnknownTree, scale("nobody/jobs", 1))
	h.refused(supervisor.ErrUnknown, scale("shop/nobody", 1))
	h.refused(supervisor.ErrRefused, scale("shop/jobs", 6))
	var told []string
	h.m.View(func(v View) {
		records, _ := v.Records(0, -1, MaxRecords)
		for _, r := range records {
			if r.Decision != nil && r.Decision.Verdict == supervisor.VerdictScale {
				told = append(told, r.Sentence)
			}
		}
	})
	want := []string{"shop/jobs is scaled from 2 to 4 instances (asked by ann)", "shop/jobs is scaled from 4 to 3 instances (asked by ann)"}
	if !slices.Equal(told, want) {
		t.Errorf("the stream tells %q", told)
	}
}

// TestPoolsCountInFull: a pool counts as many lives as it may have, so that scaling it
// never meets the limit.
func TestPoolsCountInFull(t *testing.T) {
	h := newHarness(t, "n1")
	h.must(applyTree(poolTree("a", 0, supervisor.MaxChildren-1)))
	h.must(applyTree(poolTree("b", 0, supervisor.MaxChildren-2)))
	h.refused(supervisor.ErrRefused, applyTree(tree("c", "one", "two")))
	h.must(applyTree(tree("c", "one")))
	h.must(applyTree(poolTree("b", 0, 10)), applyTree(tree("c", "one", "two")))
}
