package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/health"
)

// life is one call of a function. All of it changes under Table.mu only.
type life struct {
	agent.Launch
	table *Table
	key   string
	grace time.Duration

	begun    bool // its goroutine is there
	cancel   context.CancelCauseFunc
	up       bool
	ready    bool // it has said so
	lived    bool // min_uptime is over
	stopping bool
	overdue  bool                // Fatal was told of it
	failure  string              // why it was told to stop, if that makes its end a Failed
	unwell   health.HealthStatus // likewise, if it was found not to be well
	timer    *time.Timer         // for its function, its start, its grace
	uptime   *time.Timer
	beat     *health.Heartbeat // what it must say often; nil if it need not
	unwatch  context.CancelFunc
}

// after has f done, under mu, unless the life has ended by then. It takes the place of
// what was to be done before.
func (f *life) after(d time.Duration, do func()) {
	f.disarm()
	f.timer = f.once(d, do)
}

func (f *life) once(d time.Duration, do func()) *time.Timer {
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		f.table.mu.Lock()
		defer f.table.mu.Unlock()
		if f.table.lives[f.key] == f && (timer == f.timer || timer == f.uptime) {
			do()
		}
	})
	return timer
}

func (f *life) disarm() {
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// begin calls the function in a goroutine of its own. Under mu.
func (t *Table) begin(f *life, run function.Func) {
	f.disarm()
	if f.Exclusive && !t.held() {
		t.finish(f, agent.Event{Kind: runner.Failed, Fenced: true,
			Err: "it is exclusive, and this node has no lease, or none any more"})
		return
	}
	signs := supervisor.Signs{Ready: func() { t.sayReady(f) }, Beat: func() { t.sayBeat(f) }}
	ctx, cancel := context.WithCancelCause(context.Background())
	f.begun, f.cancel = true, cancel
	t.emit(f, agent.Event{Kind: runner.Spawned})
	t.awaitUp(f)
	life := function.NewLife(t.lifeOf(f), signs)
	t.calls.Go(func() {
		supervisor.Attend(supervisor.WithSigns(ctx, signs),
			supervisor.ComponentFunc(func(ctx context.Context) error { return run(ctx, life) }),
			func(err error) { t.returned(f, err) })
	})
}

// lifeOf is what the function is told of its life.
func (t *Table) lifeOf(f *life) function.Life {
	l := function.Life{Path: f.Path, Node: t.cfg.Node, Env: make(map[string]string, len(f.Env))}
	for _, entry := range f.Env {
		key, value, _ := strings.Cut(entry, "=")
		l.Env[key] = value
	}
	l.Fence, _ = fence.Parse(l.Env[fence.Env]) // the agent wrote it
	l.Reason = l.Env["SELFWARE_START_REASON"]
	l.Attempt, _ = strconv.Atoi(l.Env["SELFWARE_ATTEMPT"])
	return l
}

// awaitUp has the life be up when its spec says so. Under mu.
func (t *Table) awaitUp(f *life) {
	p := f.Program
	if f.lived = p.MinUptime <= 0; !f.lived {
		f.uptime = f.once(p.MinUptime, func() { f.lived = true; t.confirm(f) })
	}
	if f.ready = p.Probe == nil; !f.ready {
		limit := cmp.Or(p.Probe.StartTimeout, runner.DefaultStartTimeout)
		f.after(limit, func() {
			f.failure = fmt.Sprintf("not ready within %s: it has not called Ready", limit)
			t.condemn(f, errors.New(f.failure))
		})
	}
	t.confirm(f)
}

// confirm reports that a life is up, if it is. Under mu.
func (t *Table) confirm(f *life) {
	if !f.lived || !f.ready || f.up || f.condemned() {
		return
	}
	f.disarm()
	f.up = true
	t.emit(f, agent.Event{Kind: runner.Up})
	t.watch(f)
}

// condemned: it was told to stop, by whomever.
func (f *life) condemned() bool { return f.stopping || f.failure != "" || !f.unwell.IsHealthy() }

func (t *Table) sayReady(f *life) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.ready = true; t.lives[f.key] == f {
		t.confirm(f)
	}
}

func (t *Table) sayBeat(f *life) {
	t.mu.Lock()
	beat := f.beat
	t.mu.Unlock()
	if beat != nil {
		beat.Beat()
	}
}

// watch begins to ask whether a life that must say so is well. It has just begun: it
// counts from now. Under mu.
func (t *Table) watch(f *life) {
	live := f.Program.Liveness
	if live == nil || live.Heartbeat <= 0 {
		return
	}
	severity := health.Critical
	if s, err := health.ParseSeverity(string(live.Severity)); err == nil {
		severity = s
	}
	f.beat = health.NewHeartbeat(live.Heartbeat)
	f.beat.Beat()
	m, err := health.NewMonitor(health.Config{
		Check: f.beat, Interval: max(time.Millisecond, live.Heartbeat/8), FailureThreshold: 1,
		Severity: severity,
		OnChange: func(found health.HealthStatus) { t.onHealth(f, found) },
	})
	if err != nil {
		t.log.Error("cannot watch a function", "path", f.Path, "err", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.unwatch = cancel
	t.calls.Go(func() { _ = m.Run(ctx) })
}

// onHealth stops a life that is not well.
func (t *Table) onHealth(f *life, found health.HealthStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.lives[f.key] != f || f.condemned():
	case found.Kind != health.KindUnhealthy:
		t.log.Info("how a child is has changed", "path", f.Path, "health", found)
	case found.Severity == health.Warning:
		t.log.Warn("child is not well", "path", f.Path, "health", found)
	default:
		t.log.Warn("child is not well: stopping it", "path", f.Path, "health", found)
		f.unwell = found
		t.condemn(f, errors.New(found.Reason))
	}
}

// stop ends a life as it was asked to. Under mu.
func (t *Table) stop(f *life, reason string) {
	if f.stopping {
		return
	}
	f.stopping = true
	if !f.begun {
		t.fail(f, "stopped before it was started")
		return
	}
	t.condemn(f, errors.New(reason))
}

// condemn tells a life to stop. If it was told before, its grace goes on. Under mu.
func (t *Table) condemn(f *life, cause error) {
	if f.cancel == nil {
		return
	}
	f.cancel(cause)
	f.cancel = func(error) {}
	told := time.Now()
	f.after(f.grace, func() { t.complain(f, told) })
}

// complain says that a function does not return. It does so for as long as it takes:
// counting its life as ended would let another begin elsewhere. Under mu.
func (t *Table) complain(f *life, told time.Time) {
	t.log.Error("a function is stuck: it was told to end and does not return; waiting for it",
		"path", f.Path, "func", f.Program.Func, "epoch", f.Epoch, "for", time.Since(told).Round(time.Millisecond))
	f.after(watchStuck, func() { t.complain(f, told) })
}

// fail ends a life that was never begun. Under mu.
func (t *Table) fail(f *life, why string) {
	t.finish(f, agent.Event{Kind: runner.Failed, Err: why})
}

// returned is the end of a life.
func (t *Table) returned(f *life, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.cancel(nil)
	end := supervisor.Outcome(err)
	e := agent.Event{Kind: runner.Exited, Code: end.Code, Err: end.Detail, Word: string(end.Word)}
	var panicked *supervisor.PanicError
	switch {
	case f.failure != "":
		e = agent.Event{Kind: runner.Failed, Err: f.failure}
	case f.stopping && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		e.Code, e.Err = 0, "returned when told to"
	case end.Type == supervisor.EventCrashed:
		e.Kind = runner.Failed
	}
	if errors.As(err, &panicked) {
		t.log.Error("a function panicked", "path", f.Path, "func", f.Program.Func, "panic", panicked.Value, "stack", string(panicked.Stack))
		if place := panicked.Place(); place != "" && f.failure == "" {
			e.Err += " at " + place
		}
	}
	t.finish(f, e)
}

// finish reports the end of a life and forgets it. Under mu.
func (t *Table) finish(f *life, e agent.Event) {
	f.disarm()
	if f.uptime != nil {
		f.uptime.Stop()
	}
	if f.unwatch != nil {
		f.unwatch()
	}
	delete(t.lives, f.key)
	e.Requested, e.BeforeUp = f.stopping, !f.up
	if !f.unwell.IsHealthy() {
		e.Kind, e.Requested, e.Unwell = runner.Exited, false, f.unwell
	}
	t.emit(f, e)
	if t.closed && len(t.lives) == 0 {
		close(t.idle)
	}
}

// emit fills in what all events of a life share. Under mu, so that they are in order.
func (t *Table) emit(f *life, e agent.Event) {
	e.Key, e.At = f.key, time.Now()
	if f.begun {
		e.PID = t.pid
	}
	t.events.Put(e)
}
