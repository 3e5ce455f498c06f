package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// TestFunctionsRunWhereRegistered: the node that has a function runs it, and only it; a
// name that nobody has waits, and is said to; it begins when a node registers it. A panic
// is a crash that restarts in place, and what is stopped stays so.
func TestFunctionsRunWhereRegistered(t *testing.T) {
	boom := make(chan string)
	var l *lab
	l = newLab(t, nil, map[string]cluster.Func{"mailer": func(ctx context.Context, life cluster.Life) error {
		return l.work(func(ctx context.Context, life cluster.Life) error {
			life.Ready()
			select {
			case why := <-boom:
				panic(why)
			case <-ctx.Done():
				return ctx.Err()
			}
		})(ctx, life)
	}}, nil)
	l.apply(`
name: t
children:
  - {id: mail, func: mailer, env: {QUEUE: q7}, probe: {notify: true}}
  - {id: bill, func: biller}
  - {id: web, run: /bin/true}`)
	if on := l.runs("t/mail"); on != "n2" {
		t.Errorf("the mailer runs on %s", on)
	}
	l.until("it is up", func() bool { return l.child("t/mail").Phase == supervisor.PhaseRunning })
	life := l.lives("t/mail")[0]
	if life.Path != "t/mail" || life.Node != "n2" || life.Env["QUEUE"] != "q7" || life.Reason != "initial" ||
		life.Epoch() != uint64(l.child("t/mail").Epoch) || life.Generation() == 0 {
		t.Errorf("it was told %+v", life)
	}
	var bill, web string
	l.leader().cluster.Machine().View(func(v fsm.View) {
		r, _ := cluster.Explain(v, "t/bill")
		bill = r.Why
		r, _ = cluster.Explain(v, "t/web")
		web = r.Why
	})
	if bill != "no node has registered biller" || !strings.Contains(web, "embedded in a program, and runs functions only") {
		t.Errorf("the biller waits: %s; the process waits: %s", bill, web)
	}

	if err := l.node("n3").Register("biller", l.work(untilDone)); err != nil {
		t.Fatal(err)
	}
	if on := l.runs("t/bill"); on != "n3" {
		t.Errorf("the biller runs on %s", on)
	}

	boom <- "no more stamps"
	l.until("it is restarted", func() bool { return len(l.lives("t/mail")) == 2 })
	again := l.lives("t/mail")[1]
	if again.Node != "n2" || again.Reason != "crash" || !again.Fence.Newer(life.Fence) {
		t.Errorf("after the panic: %+v", again)
	}
	l.until("it is charged", func() bool { return l.child("t/mail").Restarts == 1 })

	l.verb("stop", "t/mail")
	l.until("it is stopped", func() bool { return l.child("t/mail").Phase == supervisor.PhaseStopped })
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.inside["t/mail"]) > 0 {
		t.Error("it runs on")
	}
}

// TestFunctionMovesWhenItsNodeIsGone: told or cut off, a node that is gone is replaced by
// another that has the function.
func TestFunctionMovesWhenItsNodeIsGone(t *testing.T) {
	var l *lab
	work := func(ctx context.Context, life cluster.Life) error { return l.work(untilDone)(ctx, life) }
	funcs := map[string]cluster.Func{"mailer": work}
	l = newLab(t, funcs, funcs, funcs)
	l.apply("{name: t, children: [{id: mail, func: mailer}]}")
	first := l.runs("t/mail")
	if err := l.node(first).Close(); err != nil {
		t.Error(err)
	}
	second := l.runs("t/mail")
	l.start("n4", funcs) // two of three are left, and one of two would be no majority
	l.untilWhole()
	l.cables[second].set(true) // its last word is not heard
	cut := time.Now()
	if err := l.node(second).Close(); err != nil {
		t.Error(err)
	}
	l.until("it runs on a third node", func() bool { return len(l.lives("t/mail")) == 3 })
	lives := l.lives("t/mail")
	if first == second || lives[2].Node == second || lives[2].Node == first {
		t.Errorf("it ran on %s, %s and %s", first, second, lives[2].Node)
	}
	if took := time.Since(cut); took > 10*time.Second {
		t.Errorf("it moved after %v", took)
	}
	if want := "failover:" + l.node(second).Self().ID; lives[2].Reason != want {
		t.Errorf("it began for %q, not %q", lives[2].Reason, want)
	}
}

// TestExclusiveFunctionIsNeverTwo: its node is cut off again and again. It ends with the
// lease there, and begins elsewhere after that; work judges.
func TestExclusiveFunctionIsNeverTwo(t *testing.T) {
	var l *lab
	work := func(ctx context.Context, life cluster.Life) error { return l.work(untilDone)(ctx, life) }
	funcs := map[string]cluster.Func{"one": work}
	l = newLab(t, funcs, funcs, funcs)
	l.apply("{name: t, children: [{id: one, func: one, exclusive: true}]}")
	for round := range 3 {
		on := l.runs("t/one")
		l.untilWhole()
		before := len(l.lives("t/one"))
		l.cables[on].set(true)
		l.until(fmt.Sprint("it runs elsewhere, round ", round), func() bool { return len(l.lives("t/one")) > before })
		l.cables[on].set(false)
	}
	lives := l.lives("t/one")
	for i := range lives[1:] {
		if !lives[i+1].Fence.Newer(lives[i].Fence) {
			t.Errorf("tokens %v, then %v", lives[i].Fence, lives[i+1].Fence)
		}
	}
}

// TestFailStop: an exclusive function that does not return ends its program when the
// lease of its node does, and only then another begins.
func TestFailStop(t *testing.T) {
	var l *lab
	died := make(chan error, 1)
	deaf := func(ctx context.Context, life cluster.Life) error {
		return l.work(func(ctx context.Context, life cluster.Life) error {
			if life.Node == "n1" {
				return <-died // whatever ctx says
			}
			return untilDone(ctx, life)
		})(ctx, life)
	}
	funcs := map[string]cluster.Func{"one": deaf}
	l = newLab(t, funcs, funcs, funcs)
	var why error
	l.onFatal = func(err error) {
		why = err
		died <- errors.New("the process has ended")
	}
	l.apply("{name: t, children: [{id: one, func: one, exclusive: true, nodes: [n1]}]}")
	if on := l.runs("t/one"); on != "n1" {
		t.Fatalf("it runs on %s", on)
	}
	l.cables["n1"].set(true)
	l.until("it runs elsewhere", func() bool { return len(l.lives("t/one")) == 2 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if why == nil || !strings.Contains(why.Error(), "exclusive functions have not returned: [t/one]") {
		t.Errorf("Fatal was told %v", why)
	}
}
