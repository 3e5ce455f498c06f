package runner

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/selfware/selfware/supervisor/health"
)

func (l *Liveness) check() error {
	if l == nil {
		return nil
	}
	if l.Heartbeat < 0 || l.Interval < 0 || l.Timeout < 0 || l.FailureThreshold < 0 || l.SuccessThreshold < 0 {
		return errors.New("times and thresholds of a liveness check must not be negative")
	}
	if l.Severity != "" {
		if _, err := health.ParseSeverity(string(l.Severity)); err != nil {
			return err
		}
	}
	return target{l.TCP, l.HTTP, l.GRPC, l.Exec}.check("a liveness check", "heartbeat", l.Heartbeat > 0)
}

// severity of a failure.
func (l *Liveness) severity() health.Severity { return cmp.Or(l.Severity, health.Critical) }

// heartbeatLooks is how often the clock is looked at in the time between two heartbeats.
const heartbeatLooks = 8

// watchOf is how p is watched. One that must speak has just done so: it counts from now.
// Under mu.
func (r *Runner) watchOf(p *life) health.Config {
	l := p.probed.Liveness
	if l.Heartbeat > 0 {
		p.beat = health.NewHeartbeat(l.Heartbeat)
		p.beat.Beat()
		return health.Config{Check: p.beat, Interval: max(time.Millisecond, l.Heartbeat/heartbeatLooks), FailureThreshold: 1}
	}
	return health.Config{
		Check:    r.checkOf(p.probed, target{l.TCP, l.HTTP, l.GRPC, l.Exec}),
		Interval: l.Interval, Timeout: l.Timeout,
		FailureThreshold: l.FailureThreshold, SuccessThreshold: l.SuccessThreshold,
		Slots: r.probing,
	}
}

// probeSpec is the part of s that its probe and its liveness check need; nil if it has
// neither.
func probeSpec(s *Spec) *Spec {
	if s.Probe == nil && s.Liveness == nil {
		return nil
	}
	p := &Spec{Key: s.Key, Name: s.Name, Probe: s.Probe, Liveness: s.Liveness, MinUptime: s.MinUptime, Exclusive: s.Exclusive}
	if s.Probe != nil && len(s.Probe.Exec) > 0 || s.Liveness != nil && len(s.Liveness.Exec) > 0 {
		p.Env, p.EnvFile, p.Dir, p.User, p.Group = s.Env, s.EnvFile, s.Dir, s.User, s.Group
	}
	return p
}

// afterStart is the part of a probeSpec that is needed once the probe has passed: 10,000
// environments would be a lot to keep for nothing.
func afterStart(s *Spec) *Spec {
	if s == nil {
		return nil
	}
	rest := *s
	rest.Probe = nil
	return probeSpec(&rest)
}

// watchHealth begins to ask p, which is up, whether it is well. Under mu.
func (r *Runner) watchHealth(p *life) {
	if p.probed == nil || p.probed.Liveness == nil || p.leaving || r.closed {
		return
	}
	c := r.watchOf(p)
	c.Severity = p.probed.Liveness.severity()
	c.OnChange = func(found health.HealthStatus) { r.onHealth(p, found) }
	m, err := health.NewMonitor(c)
	if err != nil {
		r.log.Error("cannot watch a child", "key", p.key, "err", err) // check has refused it before
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.unprobe = cancel
	r.owners.Go(func() { _ = m.Run(ctx) })
}

// onHealth takes what the liveness check of p found, which differs from what it found
// before.
func (r *Runner) onHealth(p *life, found health.HealthStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge(p, found)
}

// maxReason bounds what is shown of why a child is not well, in bytes.
const maxReason = 512

// tellHealth adds how p was found last. Under mu.
func (p *life) tellHealth(to *Process) {
	if !p.up || p.probed == nil || p.probed.Liveness == nil {
		return
	}
	to.Health, to.Reason = p.found.Kind.String(), sane(p.found.Reason, maxReason)
	if p.found.Kind == health.KindUnhealthy {
		to.Severity = string(p.found.Severity)
	}
}

// judge stops a child that is not well, with its own grace. Under mu.
func (r *Runner) judge(p *life, found health.HealthStatus) {
	switch {
	case p.reaped || p.stopping || p.leaving || p.failure != "":
		return
	}
	p.found = found
	switch {
	case found.Kind != health.KindUnhealthy:
		r.log.Info("how a child is has changed", "key", p.key, "pid", p.pid, "health", found)
	case found.Severity == health.Warning:
		r.log.Warn("child is not well", "key", p.key, "pid", p.pid, "health", found)
	default:
		r.log.Warn("child is not well: stopping it", "key", p.key, "pid", p.pid, "health", found)
		p.stopping, p.unwell = true, found
		r.beginStop(p)
	}
}
