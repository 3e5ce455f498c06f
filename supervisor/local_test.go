package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary is what components did, in order, with the time since the test began.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func newDiary() *diary { return &diary{began: time.Now()} }

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v %s", time.Since(d.began), fmt.Sprintf(format, args...)))
}

// read gives what was noted since the last time, once all is quiet.
func (d *diary) read() string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := strings.Join(d.lines, ", ")
	d.lines = nil
	return lines
}

// worker notes its start and stop, and stops when it is told to.
func (d *diary) worker(id string) Component {
	return ComponentFunc(func(ctx context.Context) error {
		d.note("+%s", id)
		<-ctx.Done()
		d.note("-%s", id)
		return ctx.Err()
	})
}

// failing notes its start, and ends after a while as f says.
func (d *diary) failing(id string, after time.Duration, f func() error) Component {
	return ComponentFunc(func(ctx context.Context) error {
		d.note("+%s", id)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(after):
			return f()
		}
	})
}

// deaf notes its start, and goes on for a while after it is told to stop.
func (d *diary) deaf(id string, rest time.Duration) Component {
	return ComponentFunc(func(ctx context.Context) error {
		d.note("+%s", id)
		<-ctx.Done()
		time.Sleep(rest)
		d.note("-%s", id)
		return nil
	})
}

var errBroken = errors.New("broken")

func broken() error { return errBroken }

// policy allows some restarts in a minute, without a wait.
func policy(restarts int) RestartPolicy {
	return RestartPolicy{MaxRestarts: restarts, MaxSeconds: time.Minute}
}

func start(t *testing.T, b *Builder) *Handle {
	t.Helper()
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func stop(t *testing.T, h *Handle) {
	t.Helper()
	if err := h.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// read takes what is in a log: events only, or decisions only.
func read(log <-chan Entry, decisions bool) string {
	synctest.Wait()
	var lines []string
	for {
		select {
		case e := <-log:
			if decisions == (e.Decision != nil) {
				lines = append(lines, e.String())
			}
		default:
			return strings.Join(lines, "\n")
		}
	}
}

func TestLocalDefaults(t *testing.T) {
	s, err := New("t").AddChild("a", newDiary().worker("a")).AddChild("b", newDiary().worker("b")).Build()
	if err != nil {
		t.Fatal(err)
	}
	spec := s.Spec()
	if s.Name() != "t" || spec.Strategy != OneForOne || !reflect.DeepEqual(spec.RestartPolicy, DefaultRestartPolicy()) {
		t.Errorf("%+v", spec)
	}
	if len(spec.Children) != 2 || spec.Children[0].ID != "a" || spec.Children[1].RestartType != Permanent {
		t.Errorf("%+v", spec.Children)
	}
}

func TestLocalBuildRefuses(t *testing.T) {
	d := newDiary()
	minus := -1
	nested := func(b *Builder) *Supervisor {
		s, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		b    *Builder
		want string
	}{
		{New("a/b"), "cannot use tree name: id \"a/b\" has '/'; use letters, digits, '-', '_' and '.'"},
		{New("t").WithStrategy("two_for_one"), "cannot use t: unknown strategy \"two_for_one\""},
		{New("t").WithRestartPolicy(RestartPolicy{}), "cannot use t: max_seconds must be positive"},
		{New("t").AddChild("a", nil), "cannot use t/a: it has no component"},
		{New("t").AddChild("a", (*Supervisor)(nil)), "cannot use t/a: it has no component"},
		{New("t").AddChild("a", d.worker("a")).AddChild("a", d.worker("a")), "cannot use t/a: the id \"a\" stands twice"},
		{New("t").Add(Child{ID: "a", Component: d.worker("a"), RestartType: "often"}), "cannot use t/a: unknown restart_type \"often\""},
		{New("t").Add(Child{ID: "a", Component: d.worker("a"), MaxRestarts: &minus}), "cannot use t/a: max_restarts must be 0 to 10000"},
		{New("t").Add(Child{ID: "a", Component: d.worker("a"), Grace: -1}), "cannot use t/a: grace and heartbeat must not be negative"},
		{New("t").Add(Child{ID: "a", Component: nested(New("n")), Ready: true}), "cannot use t/a: grace, heartbeat and ready are for its children to have"},
		{New("t").AddChild("a", nested(New("n").WithRetryAfter(1))), "cannot use t/a: only the outermost supervisor can retry"},
	} {
		if _, err := c.b.Build(); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// TestSeedJSON: the seed's types survive JSON.
func TestSeedJSON(t *testing.T) {
	three := 3
	for _, v := range []any{
		BackoffStrategy{Kind: Exponential, Base: time.Second, Max: time.Minute},
		BackoffStrategy{Kind: Fixed, Base: 2 * time.Second},
		RestartPolicy{MaxRestarts: 3, MaxSeconds: 30 * time.Second, Backoff: Backoff{Kind: Fixed, Base: 2 * time.Second}},
		DefaultRestartPolicy(),
		OneForOne, OneForAll, RestForOne,
		Permanent, Transient, Temporary,
		ExitNormal, ExitError, ExitKilled, ExitTimeout,
		ChildSpec{ID: "test", RestartType: Permanent},
		ChildSpec{ID: "test", RestartType: Transient, MaxRestarts: &three},
		Crashed("t/a", errors.New("out of memory")), Exited("t/a", ExitTimeout), Heartbeat("t/a"),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(v))
		if err := json.Unmarshal(text, back.Interface()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.Elem().Interface(), v) {
			t.Errorf("%+v became %s and then %+v", v, text, back.Elem())
		}
	}
}

// TestLocalBackoff: waits grow, the budget ends, and the error says why.
func TestLocalBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").AddChild("a", d.failing("a", 0, broken)))
		err := h.Wait()
		expect(t, d.read(), "0s +a, 1s +a, 3s +a, 7s +a, 15s +a, 31s +a")
		if !errors.Is(err, ErrExhausted) || !strings.Contains(err.Error(), "t/a spent its budget: broken") {
			t.Error(err)
		}
		if s, _ := h.Child("t/a"); s.Phase != PhaseFailed || s.Restarts != 5 {
			t.Errorf("%+v", s)
		}
		if ds := h.Why("t/a"); ds[len(ds)-1].Verdict != VerdictEscalate {
			t.Errorf("%+v", ds)
		}
	})
}

func TestLocalRestartTypes(t *testing.T) {
	for _, c := range []struct {
		typ  RestartType
		end  func() error
		want Phase
		runs int
	}{
		{Permanent, func() error { return nil }, PhaseFailed, 2},
		{Permanent, broken, PhaseFailed, 2},
		{Transient, func() error { return nil }, PhaseFinished, 1},
		{Transient, broken, PhaseFailed, 2},
		{Temporary, func() error { return nil }, PhaseFinished, 1},
		{Temporary, broken, PhaseFailed, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDiary()
			h := start(t, New("t").WithRestartPolicy(policy(1)).
				Add(Child{ID: "a", RestartType: c.typ, Component: d.failing("a", 0, c.end)}))
			if got := strings.Count(d.read(), "+a"); got != c.runs {
				t.Errorf("%s: ran %d times", c.typ, got)
			}
			if s, _ := h.Child("t/a"); s.Phase != c.want {
				t.Errorf("%s: %s", c.typ, s.Phase)
			}
			stop2 := h.Stop(t.Context()) // may have given up before
			if stop2 != nil && !errors.Is(stop2, ErrExhausted) {
				t.Error(stop2)
			}
		})
	}
}

// TestLocalCrash: a panic and a Goexit are crashes; the log has the panic's stack.
func TestLocalCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := make(chan Entry, 100)
		once := true
		h := start(t, New("t").WithLog(log).WithRestartPolicy(policy(5)).
			AddChild("a", ComponentFunc(func(ctx context.Context) error {
				if once {
					once = false
					panicInside()
				}
				<-ctx.Done()
				return nil
			})))
		synctest.Wait()
		var crash Entry
		for len(log) > 0 {
			if e := <-log; e.Event != nil && e.Event.Type == EventCrashed {
				crash = e
			}
		}
		var p *PanicError
		if !errors.As(crash.Err, &p) || !strings.Contains(string(p.Stack), "panicInside") || !errors.Is(p, errBroken) {
			t.Errorf("%+v", crash)
		}
		expect(t, crash.String(), "t/a crashed: panic: broken")
		stop(t, h)
	})
}

func panicInside() { panic(errBroken) }

func TestLocalGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := make(chan Entry, 100)
		h := start(t, New("t").WithLog(log).WithRestartPolicy(policy(0)).
			AddChild("a", ComponentFunc(func(context.Context) error { runtime.Goexit(); return nil })))
		if err := h.Wait(); !errors.Is(err, ErrExhausted) {
			t.Error(err)
		}
		if got := read(log, false); !strings.Contains(got, "t/a crashed: its goroutine ended with runtime.Goexit") {
			t.Error(got)
		}
	})
}

// TestLocalGroups: siblings stop in reverse order and start in order.
func TestLocalGroups(t *testing.T) {
	for strategy, want := range map[Strategy]string{
		OneForOne:  "1s +b",
		OneForAll:  "1s -c, 1s -a, 1s +a, 1s +b, 1s +c",
		RestForOne: "1s -c, 1s +b, 1s +c",
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDiary()
			h := start(t, New("t").WithStrategy(strategy).WithRestartPolicy(policy(1)).
				Add(d.ready("a")).Add(d.ready("b")).Add(d.ready("c")))
			synctest.Wait()
			time.Sleep(time.Second)
			d.read()
			if err := h.Send(Crashed("b", errBroken)); err != nil {
				t.Error(err)
			}
			expect(t, strings.TrimPrefix(d.read(), "1s -b, "), want)
			stop(t, h)
			if strategy != OneForOne {
				expect(t, d.read(), "1s -c, 1s -b, 1s -a")
			}
		})
	}
}

// ready is a worker that says itself that it is up, so that starts have an order.
func (d *diary) ready(id string) Child {
	return Child{ID: id, Ready: true, Component: ComponentFunc(func(ctx context.Context) error {
		d.note("+%s", id)
		Ready(ctx)
		Ready(ctx)
		<-ctx.Done()
		d.note("-%s", id)
		return nil
	})}
}

// TestLocalReady: a sibling waits until the one before says that it is up.
func TestLocalReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		slow := Child{ID: "a", Ready: true, Component: ComponentFunc(func(ctx context.Context) error {
			d.note("+a")
			time.Sleep(time.Second)
			Ready(ctx)
			<-ctx.Done()
			return nil
		})}
		h := start(t, New("t").WithStrategy(RestForOne).Add(slow).AddChild("b", d.worker("b")))
		expect(t, d.read(), "0s +a")
		time.Sleep(time.Second)
		expect(t, d.read(), "1s +b")
		stop(t, h)
	})
	Ready(t.Context()) // of no component
	Beat(t.Context())
}

// TestLocalNested: what a supervisor cannot repair its parent repairs, and the order
// of stops reaches through both.
func TestLocalNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		inner, err := New("ignored").WithStrategy(OneForAll).WithRestartPolicy(policy(1)).
			Add(d.ready("x")).Add(d.ready("y")).Build()
		if err != nil {
			t.Fatal(err)
		}
		h := start(t, New("t").WithStrategy(OneForAll).WithRestartPolicy(policy(1)).
			Add(d.ready("a")).AddChild("in", inner).Add(d.ready("z")))
		expect(t, d.read(), "0s +a, 0s +x, 0s +y, 0s +z")
		crash := func() {
			if err := h.Send(Crashed("in/y", errBroken)); err != nil {
				t.Error(err)
			}
		}
		crash()
		expect(t, d.read(), "0s -y, 0s -x, 0s +x, 0s +y")
		crash() // over budget
		expect(t, d.read(), "0s -y, 0s -z, 0s -x, 0s -a, 0s +a, 0s +x, 0s +y, 0s +z")
		if s, ok := h.Child("t/in"); !ok || !s.Supervisor || s.Phase != PhaseRunning {
			t.Errorf("%+v", s)
		}
		stop(t, h)
		expect(t, d.read(), "0s -z, 0s -y, 0s -x, 0s -a")
	})
}

// TestLocalHeartbeat: late ones end a life with a timeout; Beat and events keep it.
func TestLocalHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDiary(), make(chan Entry, 100)
		beating := ComponentFunc(func(ctx context.Context) error {
			for range 3 {
				time.Sleep(4 * time.Second)
				Beat(ctx)
			}
			<-ctx.Done()
			d.note("a: %v", context.Cause(ctx))
			return nil
		})
		h := start(t, New("t").WithLog(log).WithRestartPolicy(policy(1)).
			Add(Child{ID: "a", RestartType: Temporary, Heartbeat: 5 * time.Second, Component: beating}).
			Add(Child{ID: "b", Heartbeat: 5 * time.Second, Component: d.worker("b")}))
		for range 20 {
			time.Sleep(time.Second)
			if err := h.Send(Heartbeat("t/b")); err != nil {
				t.Error(err)
			}
		}
		expect(t, d.read(), "0s +b, 17s a: no heartbeat for 5s")
		if got := read(log, false); !strings.HasSuffix(got, "t/a exited timeout: no heartbeat for 5s") {
			t.Error(got)
		}
		stop(t, h)
	})
}

// TestLocalStuck: a component that does not stop is reported and never doubled; its
// siblings need not wait for it to stop, but they wait for it to be up.
func TestLocalStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDiary(), make(chan Entry, 100)
		h := start(t, New("t").WithLog(log).WithStrategy(OneForAll).WithRestartPolicy(policy(1)).
			Add(d.ready("a")).
			Add(Child{ID: "b", Grace: 2 * time.Second, Component: d.deaf("b", 10*time.Second)}).
			AddChild("c", d.worker("c")))
		synctest.Wait()
		d.read()
		if err := h.Send(Crashed("a", nil)); err != nil {
			t.Error(err)
		}
		time.Sleep(9 * time.Second)
		expect(t, d.read(), "0s -a, 0s -c, 2s +a")
		if got := h.Alive(); !slices.Contains(got, "t/b") {
			t.Error(got)
		}
		if got := read(log, false); !strings.Contains(got, "t/b stuck: it did not return within its grace of 2s\n"+
			"t/b exited killed: it did not return within its grace of 2s") {
			t.Error(got)
		}
		time.Sleep(time.Second)
		got := d.read() // b is up when its goroutine runs, which may be before it says so
		if !strings.HasPrefix(got, "10s -b, ") || !strings.Contains(got, "10s +b") || !strings.Contains(got, "10s +c") {
			t.Error(got)
		}
		stop(t, h)
	})
}

func TestLocalStuckBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDiary(), make(chan Entry, 100)
		h := start(t, New("t").WithLog(log).WithRestartPolicy(policy(1)).
			Add(Child{ID: "a", Grace: 2 * time.Second, Component: d.deaf("a", 10*time.Second)}))
		synctest.Wait()
		if err := h.Send(Exited("a", ExitKilled)); err != nil {
			t.Error(err)
		}
		time.Sleep(11 * time.Second)
		expect(t, d.read(), "0s +a, 10s -a, 10s +a")
		expect(t, read(log, false), "t/a started\n"+
			"t/a stuck: it did not return within its grace of 2s\n"+
			"t/a exited killed: said to have exited: killed\n"+
			"t/a returned: it has returned at last\n"+
			"t/a started")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := h.Stop(ctx)
		if err == nil || err.Error() != "cannot stop t: context deadline exceeded: these have not returned: t/a" {
			t.Error(err)
		}
		if err := h.Wait(); err != nil {
			t.Error(err)
		}
		expect(t, d.read(), "21s -a")
	})
}

// TestLocalContext: the end of the context stops all, last first; values go through.
func TestLocalContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		d := newDiary()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		s, err := New("t").WithStrategy(OneForAll).Add(d.ready("a")).Add(d.ready("b")).
			AddChild("c", ComponentFunc(func(ctx context.Context) error {
				d.note("+%v", ctx.Value(key{}))
				<-ctx.Done()
				d.note("-c")
				return nil
			})).Build()
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, d.read(), "0s +a, 0s +b, 0s +v")
		if _, err := s.Start(ctx); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		cancel()
		if err := h.Wait(); err != nil {
			t.Error(err)
		}
		expect(t, d.read(), "0s -c, 0s -b, 0s -a")
		if err := s.Run(ctx); err != nil { // again, for a moment
			t.Error(err)
		}
	})
}

// TestLocalStopInBackoff: what waits for its start never starts.
func TestLocalStopInBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").WithStrategy(OneForAll).
			AddChild("a", d.failing("a", time.Second, broken)).AddChild("b", d.worker("b")))
		time.Sleep(1500 * time.Millisecond)
		d.read()
		stop(t, h)
		time.Sleep(time.Hour)
		expect(t, d.read(), "")
		for _, s := range h.Children() {
			if s.Phase != PhaseStopped {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestLocalSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDiary(), make(chan Entry, 100)
		h := start(t, New("t").WithLog(log).WithRestartPolicy(policy(9)).
			Add(Child{ID: "a", RestartType: Transient, Component: d.worker("a")}))
		synctest.Wait()
		for _, c := range []struct {
			ev   ChildEvent
			want error
		}{
			{Crashed("b", nil), ErrUnknown},
			{Crashed("t", nil), ErrUnknown},
			{ChildEvent{Path: "a", Type: EventFenced}, ErrRefused},
			{ChildEvent{Path: "a", Type: EventCrashed, Epoch: 7}, nil}, // of no life of now
			{Crashed("a", nil), nil},
			{Exited("t/a", ExitError), nil},
			{Exited("a", ExitTimeout), nil},
			{ChildEvent{Path: "a", Type: EventStarted}, nil}, // known already
			{Exited("a", ExitNormal), nil},
			{Exited("a", ExitKilled), nil}, // it has finished
		} {
			if err := h.Send(c.ev); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v", c.ev, err)
			}
			synctest.Wait()
		}
		expect(t, d.read(), "0s +a, 0s -a, 0s +a, 0s -a, 0s +a, 0s -a, 0s +a, 0s -a")
		if s, _ := h.Child("t/a"); s.Phase != PhaseFinished || s.Budget.Used != 0 && s.Restarts != 3 {
			t.Errorf("%+v", s)
		}
		if got := read(log, false); !strings.HasSuffix(got, "t/a exited killed: said to have exited: killed (stale)") {
			t.Error(got)
		}
		stop(t, h)
		if err := h.Send(Heartbeat("a")); err != nil && !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
	})
}

// TestLocalReset: a component that spent its budget may crash again after a reset.
func TestLocalReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").WithRestartPolicy(RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Minute}).AddChild("a", d.worker("a")))
		for range 3 {
			if err := h.Send(Crashed("a", errors.New("oops"))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if s, _ := h.Child("t/a"); s.Phase != PhaseRunning || s.Budget.Used != 1 {
				t.Fatalf("%+v", s)
			}
			ds, err := h.Do(Reset{Path: "t/a", By: "me", Why: "mended"})
			if err != nil || len(ds) != 1 || ds[0].Verdict != VerdictReset {
				t.Fatal(ds, err)
			}
		}
		if s, _ := h.Child("t/a"); s.Budget.Used != 0 || s.Restarts != 3 {
			t.Errorf("%+v", s)
		}
		stop(t, h)
	})
}

func TestLocalVerbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").AddChild("a", d.worker("a")))
		for _, in := range []Input{Stop{Path: "t/a", By: "me"}, Start{Path: "t/a", By: "me"}, Restart{Path: "t", By: "me"}} {
			if _, err := h.Do(in); err != nil {
				t.Errorf("%+v: %v", in, err)
			}
			synctest.Wait()
		}
		expect(t, d.read(), "0s +a, 0s -a, 0s +a, 0s -a, 0s +a")
		for in, want := range map[Input]error{
			Stop{Path: "t/b"}: ErrUnknown, Move{Path: "t/a"}: ErrRefused, Drain{Node: LocalNode}: ErrRefused,
		} {
			if _, err := h.Do(in); !errors.Is(err, want) {
				t.Errorf("%+v: %v", in, err)
			}
		}
		stop(t, h)
		if _, err := h.Do(Start{Path: "t/a"}); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		if h.Name() != "t" || len(h.Alive()) != 0 {
			t.Error(h.Name(), h.Alive())
		}
	})
}

func TestLocalRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").WithRestartPolicy(policy(1)).WithRetryAfter(time.Minute).
			AddChild("a", d.failing("a", time.Second, broken)))
		time.Sleep(63*time.Second + time.Millisecond)
		expect(t, d.read(), "0s +a, 1s +a, 1m2s +a, 1m3s +a")
		stop(t, h)
	})
}

// TestLocalLogDrops: a full log holds nobody up, and says what is missing.
func TestLocalLogDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := make(chan Entry, 1)
		h := start(t, New("t").WithLog(log).AddChild("a", newDiary().worker("a")))
		synctest.Wait()
		expect(t, (<-log).String(), "start: t/a starts (initial)")
		stop(t, h)
		expect(t, (<-log).String(), "(3 entries were dropped) stop: t/a stops (asked by Handle.Stop)")
	})
}

// TestLocalSendWaits: so many events may wait; one more waits for room, or the end.
func TestLocalSendWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New("t").AddChild("a", newDiary().worker("a")).Build()
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLocal(t.Context(), s) // that nobody runs
		if err != nil {
			t.Fatal(err)
		}
		h, sent, last := &Handle{local: l}, 0, make(chan error)
		go func() {
			var err error
			for ; err == nil; sent++ {
				err = h.Send(Heartbeat("a"))
			}
			last <- err
		}()
		synctest.Wait()
		if sent != SendLimit {
			t.Errorf("%d sent", sent)
		}
		close(l.done)
		if err := <-last; !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
	})
}

func TestLocalDetail(t *testing.T) {
	ev := Outcome(errors.New(strings.Repeat("x", 2*maxDetail)))
	if len(ev.Detail) != maxDetail+len("...") || ev.Type != EventExited || ev.Reason != ExitError {
		t.Errorf("%+v", ev)
	}
}

// TestLocalStopsLastFirst: of stops that are ordered at once the last child's is first.
func TestLocalStopsLastFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := newDiary(), make(chan Entry, 100)
		b := New("t").WithLog(log)
		for _, id := range []string{"a", "b", "c"} {
			b.AddChild(id, d.failing(id, 0, broken))
		}
		h := start(t, b)
		read(log, false) // all wait for their second lives
		stop(t, h)
		expect(t, read(log, false), "t/c exited killed: it had not begun\n"+
			"t/b exited killed: it had not begun\n"+
			"t/a exited killed: it had not begun")
	})
}

// TestLocalEndsOnce: once it has given up nobody starts it again, although it has yet
// to end.
func TestLocalEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		h := start(t, New("t").WithRestartPolicy(policy(0)).
			AddChild("a", d.failing("a", time.Second, broken)).AddChild("b", d.deaf("b", 5*time.Second)))
		time.Sleep(2 * time.Second)
		for _, in := range []Input{Start{Path: "t"}, Restart{Path: "t/a"}} {
			if _, err := h.Do(in); !errors.Is(err, ErrStopped) {
				t.Errorf("%+v: %v", in, err)
			}
		}
		if err := h.Wait(); !errors.Is(err, ErrExhausted) {
			t.Error(err)
		}
	})
}

// TestLocalLendsNothing: no node restarts a child alone here, so no budget is held back
// for one.
func TestLocalLendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, New("t").AddChild("a", newDiary().worker("a")))
		for _, in := range []Input{Stop{Path: "t/a"}, Start{Path: "t/a"}, Restart{Path: "t/a"}} {
			if _, err := h.Do(in); err != nil {
				t.Errorf("%+v: %v", in, err)
			}
			synctest.Wait()
		}
		if s, _ := h.Child("t/a"); s.Phase != PhaseRunning || s.Budget.Held != 0 {
			t.Errorf("%+v", s)
		}
		stop(t, h)
	})
}
