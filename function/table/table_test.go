package table

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// rig is a table in a bubble, and what it was told of.
type rig struct {
	*Table
	t     *testing.T
	funcs *function.Registry
	fatal []error
	over  context.CancelFunc
	ended chan error
}

func newRig(t *testing.T) *rig {
	began := time.Now()
	r := &rig{t: t, funcs: new(function.Registry), ended: make(chan error, 1)}
	var err error
	r.Table, err = New(Config{
		Node: "n1", Functions: r.funcs, Fatal: func(err error) { r.fatal = append(r.fatal, err) },
		Clock: func() time.Duration { return time.Hour + time.Since(began) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.over = cancel
	go func() { r.ended <- r.Run(ctx) }()
	return r
}

// end ends the table, and finds what it could not end.
func (r *rig) end() error {
	r.over()
	return <-r.ended
}

func launch(path string, epoch uint64, p supervisor.Program) agent.Launch {
	if p.Func == "" {
		p.Func = "f"
	}
	return agent.Launch{
		Ref: supervisor.Ref{Path: path, Epoch: supervisor.Epoch(epoch)}, Program: &p,
		Env: []string{
			"A=b=c", "SELFWARE_ATTEMPT=2", fence.Env + "=" + fence.Token{Generation: 1, Epoch: epoch}.String(),
			"SELFWARE_START_REASON=crash",
		},
	}
}

func (r *rig) start(l agent.Launch) {
	r.t.Helper()
	if err := r.Start(l); err != nil {
		r.t.Fatal(err)
	}
}

// told is what the table has told by now.
func (r *rig) told() string {
	synctest.Wait()
	var all []string
	for {
		select {
		case e := <-r.Events():
			s := e.Kind.String()
			if e.Kind == runner.Exited {
				s += fmt.Sprint(":", e.Code)
			}
			if e.Word != "" {
				s += ":" + e.Word
			}
			if e.Err != "" {
				s += "(" + e.Err + ")"
			}
			for flag, on := range map[string]bool{"!": e.Requested, "^": e.Fenced, "~": !e.Unwell.IsHealthy()} {
				if on {
					s += flag
				}
			}
			all = append(all, s)
		default:
			return strings.Join(all, " ")
		}
	}
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.told(); got != want {
		r.t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func untilDone(ctx context.Context, _ function.Life) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestEnds: each way to end is told as what it is.
func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		f    function.Func
		p    supervisor.Program
		stop bool
		want string
	}{
		"nil":            {func(context.Context, function.Life) error { return nil }, supervisor.Program{}, false, "spawned up exited:0(returned nil)"},
		"error":          {func(context.Context, function.Life) error { return errors.New("no") }, supervisor.Program{}, false, "spawned up exited:1(no)"},
		"a word":         {func(context.Context, function.Life) error { return supervisor.DoNotRestart(errors.New("no such host")) }, supervisor.Program{}, false, "spawned up exited:1:fail(no such host)"},
		"goexit":         {func(context.Context, function.Life) error { runtime.Goexit(); return nil }, supervisor.Program{}, false, "spawned up failed(its goroutine ended with runtime.Goexit)"},
		"stop":           {untilDone, supervisor.Program{}, true, "spawned up exited:0(returned when told to)!"},
		"stop, nil":      {func(ctx context.Context, l function.Life) error { <-ctx.Done(); return nil }, supervisor.Program{}, true, "spawned up exited:0(returned nil)!"},
		"young":          {func(context.Context, function.Life) error { return nil }, supervisor.Program{MinUptime: time.Second}, false, "spawned exited:0(returned nil)"},
		"grown":          {untilDone, supervisor.Program{MinUptime: time.Second}, true, "spawned up exited:0(returned when told to)!"},
		"never ready":    {untilDone, supervisor.Program{Probe: &supervisor.Probe{Notify: true, StartTimeout: time.Second}}, false, "spawned failed(not ready within 1s: it has not called Ready)"},
		"ready":          {func(ctx context.Context, l function.Life) error { l.Ready(); return untilDone(ctx, l) }, supervisor.Program{Probe: &supervisor.Probe{Notify: true}}, true, "spawned up exited:0(returned when told to)!"},
		"ready by ctx":   {func(ctx context.Context, l function.Life) error { supervisor.Ready(ctx); return untilDone(ctx, l) }, supervisor.Program{Probe: &supervisor.Probe{Notify: true}}, true, "spawned up exited:0(returned when told to)!"},
		"silent":         {untilDone, supervisor.Program{Liveness: &supervisor.Liveness{Heartbeat: 100 * time.Millisecond}}, false, "spawned up exited:1(context canceled)~"},
		"silent, warned": {untilDone, supervisor.Program{Liveness: &supervisor.Liveness{Heartbeat: 100 * time.Millisecond, Severity: supervisor.SeverityWarning}}, true, "spawned up exited:0(returned when told to)!"},
		"beats":          {beating, supervisor.Program{Liveness: &supervisor.Liveness{Heartbeat: 100 * time.Millisecond}}, true, "spawned up exited:0(returned when told to)!"},
		"unregistered":   {nil, supervisor.Program{Func: "g"}, false, "failed(this program has not registered g, though its node once said so)"},
		"gives up":       {nil, supervisor.Program{Func: "g"}, true, "failed(stopped before it was started)!"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				if c.f != nil {
					if err := r.funcs.Register("f", c.f); err != nil {
						t.Fatal(err)
					}
				}
				l := launch("t/a", 1, c.p)
				r.start(l)
				time.Sleep(2 * time.Second)
				if c.stop {
					r.Stop(l.Ref, "test")
				}
				time.Sleep(time.Minute)
				r.expect(c.want)
				if len(r.Live()) > 0 || r.end() != nil {
					t.Error("something is left")
				}
			})
		})
	}
}

func beating(ctx context.Context, l function.Life) error {
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-tick.C:
			l.Heartbeat()
		}
	}
}

// TestPanicTellsItsPlace: a panic is a crash, and says where it was.
func TestPanicTellsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if err := r.funcs.Register("f", func(context.Context, function.Life) error { return (*rig)(nil).fatal[7] }); err != nil {
			t.Fatal(err)
		}
		r.start(launch("t/a", 1, supervisor.Program{}))
		got := r.told()
		if !strings.Contains(got, "failed(panic: runtime error: invalid memory address") || !strings.Contains(got, "table_test.go:") {
			t.Errorf("told %s", got)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestLife: a function is told of its life, and why it must end.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var life function.Life
		var why error
		err := r.funcs.Register("f", func(ctx context.Context, l function.Life) error {
			life = l
			<-ctx.Done()
			why = context.Cause(ctx)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l := launch("t/a", 9, supervisor.Program{})
		r.start(l)
		if err := r.Start(l); err == nil {
			t.Error("it was started twice")
		}
		if err := r.Start(agent.Launch{Ref: supervisor.Ref{Path: "t/b"}, Program: &supervisor.Program{Argv: []string{"x"}}}); err == nil ||
			!strings.Contains(err.Error(), "functions only") {
			t.Errorf("a process: %v", err)
		}
		synctest.Wait()
		r.Stop(l.Ref, "asked by ann")
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if life.Path != "t/a" || life.Node != "n1" || life.Epoch() != 9 || life.Generation() != 1 || life.Attempt != 2 ||
			life.Reason != "crash" || life.Env["A"] != "b=c" || why == nil || why.Error() != "asked by ann" {
			t.Errorf("%+v, ended for %v", life, why)
		}
		if err := r.Start(launch("t/c", 1, supervisor.Program{})); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestLateRegistration: a life waits for its function.
func TestLateRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(launch("t/a", 1, supervisor.Program{}))
		time.Sleep(9 * time.Second)
		r.expect("")
		if err := r.funcs.Register("f", untilDone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.expect("spawned up")
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestStuck: a function that does not return is neither ended nor followed; its node says
// so when it ends without it.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		free := make(chan bool)
		if err := r.funcs.Register("f", func(context.Context, function.Life) error { <-free; return nil }); err != nil {
			t.Fatal(err)
		}
		l := launch("t/a", 1, supervisor.Program{Grace: time.Second})
		r.start(l)
		r.Stop(l.Ref, "test")
		time.Sleep(time.Minute)
		r.expect("spawned up")
		if len(r.Live()) != 1 {
			t.Error("it counts as ended")
		}
		if err := r.end(); !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "[t/a]") {
			t.Errorf("the end: %v", err)
		}
		select {
		case <-r.Idle():
			t.Error("idle while it runs")
		default:
		}
		close(free)
		<-r.Idle()
	})
}

// TestLease: exclusive functions, and no others, run until the moment that Hold named
// last. One that has not returned by then is fatal, also after the node has ended.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		free := make(chan bool)
		for name, f := range map[string]function.Func{
			"f":    untilDone,
			"deaf": func(context.Context, function.Life) error { <-free; return nil },
		} {
			if err := r.funcs.Register(name, f); err != nil {
				t.Fatal(err)
			}
		}
		exclusive := func(path string, p supervisor.Program) agent.Launch {
			l := launch(path, 1, p)
			l.Exclusive = true
			return l
		}
		const refused = "failed(it is exclusive, and this node has no lease, or none any more)^"
		r.start(exclusive("t/early", supervisor.Program{}))
		r.expect(refused)
		r.Hold(time.Hour + 10*time.Second)
		r.start(exclusive("t/a", supervisor.Program{}))
		r.start(launch("t/b", 1, supervisor.Program{Func: "deaf"}))
		r.start(exclusive("t/late", supervisor.Program{Func: "g"})) // comes to be too late
		time.Sleep(5 * time.Second)
		r.Hold(time.Hour + 12*time.Second)
		r.Stop(supervisor.Ref{Path: "t/a", Epoch: 1}, "the lease runs out")
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if len(r.fatal) > 0 {
			t.Errorf("fatal, though it has returned: %v", r.fatal)
		}
		r.told()
		r.start(exclusive("t/again", supervisor.Program{}))
		r.expect(refused)

		r.Hold(time.Hour + 30*time.Second)
		r.start(exclusive("t/deaf", supervisor.Program{Func: "deaf"}))
		synctest.Wait()
		if err := r.end(); !errors.Is(err, ErrStuck) {
			t.Errorf("the end: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.fatal) != 1 || !strings.Contains(r.fatal[0].Error(), "[t/deaf]") {
			t.Errorf("fatal: %v", r.fatal)
		}
		close(free)
		<-r.Idle()
	})
}

// TestManyAtOnce: lives that come and go at once, under the race detector: each is told
// from its beginning to its end, and none is lost.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		inside := make(map[string]int)
		err := r.funcs.Register("f", func(ctx context.Context, l function.Life) error {
			mu.Lock()
			inside[l.Path]++
			mu.Unlock()
			return untilDone(ctx, l)
		})
		if err != nil {
			t.Fatal(err)
		}
		const many = 2000
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				l := launch(fmt.Sprint("t/", i), 1, supervisor.Program{})
				if err := r.Start(l); err != nil {
					t.Error(err)
				}
				r.Stop(l.Ref, "test")
			})
		}
		wg.Wait()
		kinds := make(map[runner.EventKind]int)
		for range 3 * many {
			e := <-r.Events()
			kinds[e.Kind]++
		}
		if err := r.end(); err != nil || kinds[runner.Spawned] != many || kinds[runner.Up] != many || kinds[runner.Exited] != many || len(inside) != many {
			t.Errorf("%v, %v", kinds, err)
		}
	})
}
