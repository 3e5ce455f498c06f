package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor/health"
)

// maxProbes bounds the probe attempts that are under way at once.
const maxProbes = 32

// probe asks p until it passes, then reports it up, once min_uptime is over
// too. A child that is not ready in time is killed, and its end is a Failed.
// ctx ends when p does or when it is to stop.
func (r *Runner) probe(ctx context.Context, p *life, s *Spec) {
	r.mu.Lock()
	born := p.since
	r.mu.Unlock()
	limit := cmp.Or(s.Probe.StartTimeout, DefaultStartTimeout)
	// One that was adopted late is asked once at least.
	last := time.Now().Add(min(limit, cmp.Or(s.Probe.Timeout, DefaultProbeTimeout)))
	deadline := born.Add(limit)
	if deadline.Before(last) {
		deadline = last
	}
	err := r.untilUp(ctx, p, s, deadline)
	switch {
	case ctx.Err() != nil:
		return // it ends, or another agent goes on asking
	case err != nil:
		r.notReady(p, fmt.Sprintf("not ready within %s: %v", limit, err))
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(s.MinUptime - time.Since(born)):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.confirmUp(p)
	}
}

// untilUp returns nil when the probe has passed, or an error at the deadline or when ctx
// ends.
func (r *Runner) untilUp(ctx context.Context, p *life, s *Spec, deadline time.Time) error {
	if s.Probe.Notify {
		return r.untilReady(ctx, p, deadline)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return r.untilPass(ctx, s)
}

// untilReady returns nil when p has said that it is ready. Its deadline is one that p may
// put off.
func (r *Runner) untilReady(ctx context.Context, p *life, deadline time.Time) error {
	for {
		r.mu.Lock()
		ready := p.ready
		if p.startBy.After(deadline) {
			deadline = p.startBy
		}
		r.mu.Unlock()
		left := time.Until(deadline)
		switch {
		case ready:
			return nil
		case left <= 0:
			return errors.New("it has not said READY=1")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.noticed:
		case <-time.After(left):
		}
	}
}

// notReady kills p, unless it is on its way out by itself or by our will.
func (r *Runner) notReady(p *life, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.reaped || p.stopping {
		return
	}
	p.failure = why
	r.killNow(p)
}

// untilPass returns nil when the probe has passed. When ctx, which has a deadline, ends,
// it returns the last failure that was not due to that.
func (r *Runner) untilPass(ctx context.Context, s *Spec) error {
	last := errors.New("no attempt has ended")
	deadline, _ := ctx.Deadline()
	check := r.checkOf(s, target{s.Probe.TCP, s.Probe.HTTP, s.Probe.GRPC, s.Probe.Exec})
	passed, need := 0, max(1, s.Probe.SuccessThreshold)
	for {
		err := r.attempt(ctx, s, check)
		if err == nil {
			if passed++; passed >= need {
				return nil
			}
			err = fmt.Errorf("it has passed %d of %d times in a row", passed, need)
		} else {
			passed = 0
		}
		if ctx.Err() == nil && time.Now().Before(deadline) {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(cmp.Or(s.Probe.Interval, DefaultProbeInterval)):
		}
	}
}

func (r *Runner) attempt(ctx context.Context, s *Spec, check health.HealthCheck) error {
	select {
	case r.probing <- struct{}{}:
		defer func() { <-r.probing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Probe.Timeout, DefaultProbeTimeout))
	defer cancel()
	if found := check.Check(ctx); found.Kind == health.KindUnhealthy {
		return errors.New(found.Reason)
	}
	return nil
}

// target is what a check asks: exactly one is set.
type target struct {
	tcp, http, grpc string
	exec            []string
}

// check: exactly one is set, the sort of which the child itself speaks included.
func (t target) check(what, told string, speaks bool) error {
	set := 0
	for _, is := range []bool{t.tcp != "", t.http != "", t.grpc != "", len(t.exec) > 0, speaks} {
		if is {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("%s needs exactly one of tcp, http, grpc, exec and %s", what, told)
	}
	return nil
}

// checkOf makes a check of t for the life of s.
func (r *Runner) checkOf(s *Spec, t target) health.HealthCheck {
	switch {
	case t.tcp != "":
		return health.TCP{Address: t.tcp}
	case t.http != "":
		return health.HTTP{URL: t.http}
	case t.grpc != "":
		address, service, _ := strings.Cut(t.grpc, "/")
		return health.GRPC{Address: address, Service: service}
	}
	return health.Func("exec "+t.exec[0], func(ctx context.Context) error { return r.probeExec(ctx, s, t.exec) })
}

// probeExec runs a program that asks for a child as a life of its own, through the
// same spawner and reaper, without output and without events. It returns when that
// life has ended: killed, if ctx ends before it.
func (r *Runner) probeExec(ctx context.Context, s *Spec, argv []string) error {
	ended := make(chan Event, 1)
	probe := &life{
		key: probeMark + s.Key, name: s.Name, onEnd: func(e Event) { ended <- e },
		spec: &Spec{
			Name: s.Name, Argv: argv, Env: s.Env, EnvFile: s.EnvFile, Dir: s.Dir, User: s.User, Group: s.Group,
			Exclusive: s.Exclusive, // what acts for a child ends with it, whoever sleeps
		},
	}
	if err := r.enqueueFreed(ctx, probe); err != nil {
		return err
	}
	var end Event
	select {
	case end = <-ended:
	case <-ctx.Done():
		r.Kill(probe.key)
		select {
		case end = <-ended:
		case <-r.quit: // it sleeps in the kernel and was given up
			return ctx.Err()
		}
		return fmt.Errorf("%s did not end in time", argv[0])
	}
	switch {
	case end.Kind == Failed:
		return errors.New(end.Err)
	case end.Signal != "":
		return fmt.Errorf("%s ended by %s", argv[0], end.Signal)
	case end.Code != 0:
		return fmt.Errorf("%s exited with %d", argv[0], end.Code)
	}
	return nil
}

// enqueueFreed is enqueue that waits for its key to be free: that the last run of a probe
// is still being ended, be it one of the agent before, is not the child's fault.
func (r *Runner) enqueueFreed(ctx context.Context, p *life) error {
	for {
		err := r.enqueue(p)
		if !errors.Is(err, ErrKeyInUse) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the run before does not end")
		case <-time.After(lingerStep):
		}
	}
}
