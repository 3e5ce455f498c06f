package agent

import (
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/health"
)

// Adapter makes a runner the agent's table of processes.
func Adapter(r *runner.Runner) Processes { return adapter{r} }

type adapter struct{ r *runner.Runner }

func (a adapter) Start(l Launch) error { return a.r.Start(specOf(l)) }

func (a adapter) Stop(ref supervisor.Ref, reason string) { a.r.Stop(Key(ref), reason) }

func (a adapter) Hold(until time.Duration) { a.r.Hold(until) }

func (a adapter) Settle(ref supervisor.Ref) { a.r.Settle(Key(ref)) }

func (a adapter) Events() <-chan Event { return a.r.Events() }

func (a adapter) Live() []link.Life {
	var lives []link.Life
	for _, p := range a.r.Live() {
		if ref, ok := ParseKey(p.Key); ok {
			lives = append(lives, link.Life{Ref: ref, PID: p.PID, Up: p.Up})
		}
	}
	return lives
}

// specOf translates a program of the tree into the runner's words.
func specOf(l Launch) runner.Spec {
	p := l.Program
	s := runner.Spec{
		Key: Key(l.Ref), Name: l.Path,
		Argv: p.Argv, Env: l.Env, EnvFile: p.EnvFile, Dir: p.Dir,
		User: p.User, Group: p.Group, Umask: p.Umask,
		StopSignal: p.StopSignal, Grace: p.Grace, MinUptime: p.MinUptime, Exclusive: l.Exclusive, Notify: p.Notify,
	}
	if len(p.Limits) > 0 {
		s.Limits = make(map[string]runner.Limit, len(p.Limits))
		for name, limit := range p.Limits {
			s.Limits[name] = runner.Limit{Soft: uint64(limit.Soft), Hard: uint64(limit.Hard)} // -1: unlimited, for both
		}
	}
	if q := p.Probe; q != nil {
		s.Probe = &runner.Probe{
			TCP: q.TCP, HTTP: q.HTTP, GRPC: q.GRPC, Exec: q.Exec, Notify: q.Notify,
			Interval: q.Interval, Timeout: q.Timeout, StartTimeout: q.StartTimeout, SuccessThreshold: q.SuccessThreshold,
		}
	}
	s.Liveness = livenessOf(p.Liveness)
	return s
}

func livenessOf(l *supervisor.Liveness) *runner.Liveness {
	if l == nil {
		return nil
	}
	out := &runner.Liveness{
		TCP: l.TCP, HTTP: l.HTTP, GRPC: l.GRPC, Exec: l.Exec, Heartbeat: l.Heartbeat, Interval: l.Interval, Timeout: l.Timeout,
		FailureThreshold: l.FailureThreshold, SuccessThreshold: l.SuccessThreshold, Severity: health.Severity(l.Severity),
	}
	if s, err := health.ParseSeverity(string(l.Severity)); err == nil {
		out.Severity = s // else the runner refuses it
	}
	return out
}
