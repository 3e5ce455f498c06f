package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
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
	asking, cancel := context.WithDeadline(ctx, deadline)
	err := r.untilPass(asking, s)
	cancel()
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

// untilPass returns nil at the first pass. When ctx, which has a deadline, ends,
// it returns the last failure that was not due to that.
func (r *Runner) untilPass(ctx context.Context, s *Spec) error {
	last := errors.New("no attempt has ended")
	deadline, _ := ctx.Deadline()
	for {
		err := r.attempt(ctx, s)
		if err == nil {
			return nil
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

func (r *Runner) attempt(ctx context.Context, s *Spec) error {
	select {
	case r.probing <- struct{}{}:
		defer func() { <-r.probing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Probe.Timeout, DefaultProbeTimeout))
	defer cancel()
	switch {
	case s.Probe.TCP != "":
		return probeTCP(ctx, s.Probe.TCP)
	case s.Probe.HTTP != "":
		return probeHTTP(ctx, s.Probe.HTTP)
	}
	return r.probeExec(ctx, s)
}

func probeTCP(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// probeClient follows nothing and keeps nothing open.
var probeClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func probeHTTP(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := probeClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s answers %s", url, resp.Status)
	}
	return nil
}

// probeExec runs the probe's program as a life of its own, through the same
// spawner and reaper, without output and without events. It returns when that
// life has ended: killed, if ctx ends before it.
func (r *Runner) probeExec(ctx context.Context, s *Spec) error {
	ended := make(chan Event, 1)
	probe := &life{
		key: probeMark + s.Key, name: s.Name, onEnd: func(e Event) { ended <- e },
		spec: &Spec{
			Name: s.Name, Argv: s.Probe.Exec, Env: s.Env, EnvFile: s.EnvFile, Dir: s.Dir, User: s.User, Group: s.Group,
			Exclusive: s.Exclusive, // what acts for a child ends with it, whoever sleeps
		},
	}
	if err := r.enqueue(probe); err != nil {
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
		return fmt.Errorf("%s did not end in time", s.Probe.Exec[0])
	}
	switch {
	case end.Kind == Failed:
		return errors.New(end.Err)
	case end.Signal != "":
		return fmt.Errorf("%s ended by %s", s.Probe.Exec[0], end.Signal)
	case end.Code != 0:
		return fmt.Errorf("%s exited with %d", s.Probe.Exec[0], end.Code)
	}
	return nil
}
