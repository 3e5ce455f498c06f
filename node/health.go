package node

import (
	"context"
	"sync"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor/health"
)

// How the node looks at itself. A server uses most of its memory as a matter of course,
// so the shares are higher than those that health.Memory has for others.
const (
	lookInterval = 5 * time.Second
	lookTimeout  = 2 * time.Second
	lookTwice    = 2 // an answer must be given so often in a row
	fullish      = 0.90
	full         = 0.97
)

// ownChecks are the checks of the machine that a node with this data dir runs on.
func ownChecks(dir string) []health.HealthCheck {
	return []health.HealthCheck{
		health.Memory{Degraded: fullish, Unhealthy: full},
		health.Disk{Path: dir, Degraded: fullish, Unhealthy: full},
		&health.Clock{},
	}
}

// watch asks checks of the node itself and tells the worst of what they say, once it has
// been so for two looks: at first when that is known, and then when it is another level.
type watch struct {
	monitors []*health.HealthMonitor
	out      chan link.Health // capacity 1; what is untold gives way to what is newer
}

func newWatch(checks []health.HealthCheck) (*watch, error) {
	w := &watch{out: make(chan link.Health, 1)}
	for _, c := range checks {
		m, err := health.NewMonitor(health.Config{
			Check: c, Interval: lookInterval, Timeout: lookTimeout,
			FailureThreshold: lookTwice, SuccessThreshold: lookTwice,
		})
		if err != nil {
			return nil, err
		}
		w.monitors = append(w.monitors, m)
	}
	return w, nil
}

// Run watches until ctx ends.
func (w *watch) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, m := range w.monitors {
		asking.Go(func() { _ = m.Run(ctx) }) // never an error
	}
	var last link.Health
	told, looks := link.HealthLevel(255), 0
	next := lookInterval * 3 / 2 // half-way between the answers, to see each of them
	for ; ; next = lookInterval {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(next):
		}
		is := w.worst()
		if looks++; is.Level != last.Level {
			looks = 1
		}
		if last = is; looks >= lookTwice && is.Level != told {
			told = is.Level
			w.tell(is)
		}
	}
}

// worst is the worst of what the monitors say.
func (w *watch) worst() (worst link.Health) {
	for _, m := range w.monitors {
		s := m.Status()
		level := link.HealthWell
		switch s.Kind {
		case health.KindDegraded:
			level = link.HealthDegraded
		case health.KindUnhealthy:
			level = link.HealthUnhealthy
		}
		if level > worst.Level {
			worst = link.Health{Level: level, Reason: s.Reason}
		}
	}
	return worst
}

func (w *watch) tell(h link.Health) {
	select {
	case <-w.out:
	default:
	}
	w.out <- h
}
