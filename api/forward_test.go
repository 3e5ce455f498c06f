package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
)

// treesNamed counts the records of a new tree: how often it was really applied.
func (w *world) treesNamed(name string) (n int) {
	w.nodes[0].machine.View(func(v fsm.View) {
		records, _ := v.Records(0, -1, fsm.MaxRecords)
		for _, r := range records {
			if r.Kind == fsm.KindTree && strings.HasPrefix(r.Sentence, "tree "+name+" ") {
				n++
			}
		}
	})
	return n
}

func TestAnyNodeTakesAWrite(t *testing.T) {
	w := newWorld(t, 3)
	for i, m := range w.nodes {
		name := fmt.Sprintf("t%d", i)
		done := must(m.client(t).Apply(t.Context(), name, strings.Replace(shop, "shop", name, 1), "ann"))(t)
		if done.Index != w.index {
			t.Errorf("%s: done at %d, want %d", name, done.Index, w.index)
		}
	}
	if w.nodes[0].submits != 3 {
		t.Errorf("the leader got %d commands, want 3", w.nodes[0].submits)
	}
}

func TestAReadSeesTheWriteBeforeIt(t *testing.T) {
	w := newWorld(t, 2)
	w.nodes[0].verify = func(context.Context) error { return nil }
	asked := false
	w.nodes[1].verify = func(context.Context) error { asked = true; return cluster.ErrNotLeader }
	must(w.nodes[1].client(t).Status(t.Context()))(t)
	if asked {
		t.Error("a node that does not lead answered a read itself")
	}
}

// TestReadsAreVerified: no read is answered before the leader has verified that it
// leads, unless the reader takes what is stale (P6).
func TestReadsAreVerified(t *testing.T) {
	w := newWorld(t, 1)
	n := w.nodes[0]
	c := n.client(t)
	before := n.verifies.Load()
	must(c.Status(t.Context()))(t)
	must(c.Nodes(t.Context()))(t)
	if got := n.verifies.Load() - before; got != 2 {
		t.Errorf("two reads, verified %d times", got)
	}
}

// held runs a request that must wait, and lets go once it was seen to wait.
func held[T any](t *testing.T, letGo func(), ask func() (T, error)) T {
	t.Helper()
	type answer struct {
		v   T
		err error
	}
	got := make(chan answer, 1)
	go func() {
		v, err := ask()
		got <- answer{v, err}
	}()
	letGo()
	a := <-got
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.v
}

// until polls for something that other goroutines do.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	late := time.After(10 * time.Second)
	for look := time.NewTicker(time.Millisecond); !cond(); {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRequestsWaitForALeader(t *testing.T) {
	w := newWorld(t, 3)
	w.lead(nil)
	c := w.nodes[1].client(t)
	looks := w.nodes[1].countLooks()
	held(t, func() {
		until(t, "the node looks for a leader again and again", func() bool { return looks.Load() > 3 })
		w.lead(w.nodes[2])
	}, func() (api.Done, error) { return c.Apply(t.Context(), "shop", shop, "") })
	if w.treesNamed("shop") != 1 {
		t.Errorf("the tree was applied %d times", w.treesNamed("shop"))
	}
	w.lead(nil)
	looks.Store(0)
	held(t, func() {
		until(t, "the node looks for a leader again and again", func() bool { return looks.Load() > 3 })
		w.lead(w.nodes[1]) // itself, this time
	}, func() (api.Status, error) { return c.Status(t.Context()) })
}

func TestHoldingEnds(t *testing.T) {
	w := newWorld(t, 2, func(c *api.Config) { c.HoldFor = 30 * time.Millisecond })
	w.lead(nil)
	_, err := w.nodes[1].client(t).Status(t.Context())
	wantCode(t, err, api.CodeNoLeader, "nobody leads", "majority", "30ms")
	if err.(*api.Problem).Status != http.StatusServiceUnavailable {
		t.Errorf("status %d", err.(*api.Problem).Status)
	}
}

func TestAForwardedRequestIsNotForwardedAgain(t *testing.T) {
	w := newWorld(t, 3)
	w.nodes[1].set(func() { w.nodes[1].believe = w.nodes[2] }) // which does not lead
	looks := w.nodes[2].countLooks()
	c := w.nodes[1].client(t)
	held(t, func() {
		until(t, "n2 asks n3", func() bool { return w.nodes[2].verifies.Load() > 2 })
		if n := looks.Load(); n != 0 {
			t.Errorf("n3 looked for a leader %d times: it must only say that it is none", n)
		}
		w.nodes[1].set(func() { w.nodes[1].believe = nil })
	}, func() (api.Status, error) { return c.Status(t.Context()) })
}

func TestALeaderThatCannotBeReached(t *testing.T) {
	w := newWorld(t, 3)
	w.nodes[0].set(func() { w.nodes[0].down = true })
	c := w.nodes[1].client(t)
	done := held(t, func() {
		until(t, "n2 dials n1", func() bool { return w.nodes[0].dials.Load() > 2 })
		w.lead(w.nodes[2])
	}, func() (api.Done, error) { return c.Transfer(t.Context(), "n2") }) // not even once-only requests are lost
	if !strings.Contains(done.Message, "n2") || w.leads() != w.nodes[1] {
		t.Errorf("done %+v", done)
	}
}

func TestLeaderChangesInTheMiddleOfAWrite(t *testing.T) {
	for _, asked := range []int{0, 1} {
		t.Run(fmt.Sprintf("asked at n%d", asked+1), func(t *testing.T) {
			w := newWorld(t, 3)
			old := w.nodes[0]
			old.after = func(fsm.Result) error { // committed, but the leader cannot know
				w.lead(w.nodes[2])
				return cluster.ErrUncertain
			}
			must(w.nodes[asked].client(t).Apply(t.Context(), "shop", shop, ""))(t)
			if old.submits != 1 || w.nodes[2].submits != 1 {
				t.Errorf("submitted %d and %d times, want once to each leader", old.submits, w.nodes[2].submits)
			}
			if n := w.treesNamed("shop"); n != 1 {
				t.Errorf("the tree was applied %d times, want once", n)
			}
		})
	}
}

func TestALeaderThatNeverAnswers(t *testing.T) {
	w := newWorld(t, 3)
	w.nodes[0].before = func(ctx context.Context) error {
		w.lead(w.nodes[1])
		<-ctx.Done()
		return cluster.ErrUncertain
	}
	must(w.nodes[2].client(t).Apply(t.Context(), "shop", shop, ""))(t)
	if n := w.treesNamed("shop"); n != 1 {
		t.Errorf("the tree was applied %d times, want once", n)
	}
}

func TestAnUncertainTransferIsNotRepeated(t *testing.T) {
	w := newWorld(t, 2)
	var tries atomic.Int32
	w.nodes[0].set(func() {
		w.nodes[0].transfer = func() error {
			tries.Add(1)
			return cluster.ErrUncertain
		}
	})
	_, err := w.nodes[1].client(t).Transfer(t.Context(), "")
	wantCode(t, err, api.CodeUncertain)
	if tries.Load() != 1 {
		t.Errorf("tried %d times", tries.Load())
	}
}

func TestABusyLeaderIsNotPressed(t *testing.T) {
	w := newWorld(t, 2)
	w.nodes[0].before = func(context.Context) error { return cluster.ErrBusy }
	_, err := w.nodes[1].client(t).Apply(t.Context(), "shop", shop, "")
	wantCode(t, err, api.CodeBusy, "nothing was done")
	if w.nodes[0].submits != 1 {
		t.Errorf("submitted %d times", w.nodes[0].submits)
	}
}

func TestOneKeyIsDoneOnce(t *testing.T) {
	w := newWorld(t, 3)
	apply := func(node int, name, key string) int {
		res := get(t, "PUT", w.nodes[node].web.URL+"/v1/trees/"+name, strings.Replace(shop, "shop", name, 1), header(api.HeaderKey, key))
		read(t, res)
		return res.StatusCode
	}
	for node := range w.nodes { // whichever node is asked
		if code := apply(node, "shop", "k1"); code != 200 {
			t.Errorf("status %d", code)
		}
	}
	if n := w.treesNamed("shop"); n != 1 {
		t.Errorf("the tree was applied %d times, want once", n)
	}
	apply(1, "other", "k1") // the same key for something else is another request
	if n := w.treesNamed("other"); n != 1 {
		t.Errorf("the other tree was applied %d times, want once", n)
	}
	apply(1, "shop", "k2")
	if n := w.treesNamed("shop"); n != 2 {
		t.Errorf("the tree was applied %d times, want twice by now", n)
	}
	if code := apply(1, "shop", strings.Repeat("k", 129)); code != 400 {
		t.Errorf("a long key has status %d", code)
	}
}

func TestARepeatOfARefusalIsRefused(t *testing.T) {
	w := newWorld(t, 2)
	for range 2 {
		res := get(t, "DELETE", w.nodes[1].web.URL+"/v1/trees/none", "", header(api.HeaderKey, "k"))
		if body := read(t, res); res.StatusCode != 404 || !strings.Contains(body, "none") {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
}

func TestClientsCannotSpeakAsNodes(t *testing.T) {
	w := shopWorld(t, 2) // the store runs on n2
	w.nodes[0].logs.write("shop/store", "stdout", "of n1")
	w.nodes[1].logs.write("shop/store", "stdout", "of n2")
	for _, name := range []string{"X-Selfware-Here", "X-Selfware-Forwarded"} {
		res := get(t, "GET", w.nodes[0].web.URL+"/v1/logs?path=shop/store", "", header(name, "true"))
		if body := read(t, res); !strings.Contains(body, "of n2") {
			t.Errorf("%s: %s", name, body)
		}
	}
	w.lead(w.nodes[1])
	res := get(t, "GET", w.nodes[0].web.URL+"/v1/status", "", header("X-Selfware-Forwarded", "NODE2ID"))
	if body := read(t, res); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for name := range res.Header {
		if strings.HasPrefix(name, "X-Selfware-Go") {
			t.Errorf("the answer has %s", name)
		}
	}
}
