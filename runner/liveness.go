package runner

import (
	"context"
	"errors"

	"github.com/selfware/selfware/supervisor/health"
)

func (l *Liveness) check() error {
	if l == nil {
		return nil
	}
	if l.Interval < 0 || l.Timeout < 0 || l.FailureThreshold < 0 || l.SuccessThreshold < 0 {
		return errors.New("times and thresholds of a liveness check must not be negative")
	}
	if l.Severity != "" {
		if _, err := health.ParseSeverity(string(l.Severity)); err != nil {
			return err
		}
	}
	return target{l.TCP, l.HTTP, l.GRPC, l.Exec}.check("a liveness check")
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
	if p.probed == nil || p.probed.Liveness == nil || r.closed {
		return
	}
	l := p.probed.Liveness
	m, err := health.NewMonitor(health.Config{
		Check:    r.checkOf(p.probed, target{l.TCP, l.HTTP, l.GRPC, l.Exec}),
		Interval: l.Interval, Timeout: l.Timeout,
		FailureThreshold: l.FailureThreshold, SuccessThreshold: l.SuccessThreshold,
		Severity: l.Severity, Slots: r.probing,
		OnChange: func(found health.HealthStatus) { r.onHealth(p, found) },
	})
	if err != nil {
		r.log.Error("cannot watch a child", "key", p.key, "err", err) // check has refused it before
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.unprobe = cancel
	r.owners.Go(func() { _ = m.Run(ctx) })
}

// onHealth takes what the liveness check of p found, which differs from what it found
// before: a child that is not well is stopped, with its own grace.
func (r *Runner) onHealth(p *life, found health.HealthStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case p.reaped || p.stopping || p.failure != "":
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
