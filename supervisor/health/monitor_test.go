package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script is a check that gives its answers one after the other, the last for ever.
type script []HealthStatus

func (s *script) Name() string { return "script" }

func (s *script) Check(context.Context) HealthStatus {
	next := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return next
}

// watch runs a monitor in a bubble for some time, and gives what it told, and when.
func watch(t *testing.T, c Config, long time.Duration) (told []string) {
	t.Helper()
	began := time.Now()
	c.OnChange = func(s HealthStatus) { told = append(told, fmt.Sprintf("%s %s", time.Since(began), s)) }
	m, err := NewMonitor(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
	return told
}

func expect(t *testing.T, told []string, want ...string) {
	t.Helper()
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func TestThresholds(t *testing.T) {
	ok, bad, warn, slow := Healthy(), Unhealthy("gone", Critical), Unhealthy("odd", Warning), Degraded("slow")
	c := Config{Interval: time.Second, FailureThreshold: 3, SuccessThreshold: 2}
	for name, test := range map[string]struct {
		says script
		want []string
	}{
		"never ill":                {script{ok}, nil},
		"two failures are none":    {script{bad, bad, ok, bad, bad, slow, ok}, []string{"6s Degraded: slow", "7s Healthy"}},
		"three in a row":           {script{ok, bad, bad, bad}, []string{"4s Unhealthy (Critical): gone"}},
		"told once":                {script{bad, bad, bad, bad, bad}, []string{"3s Unhealthy (Critical): gone"}},
		"well after two":           {script{bad, bad, bad, ok, bad, ok, ok}, []string{"3s Unhealthy (Critical): gone", "7s Healthy"}},
		"degraded counts as well":  {script{bad, bad, bad, slow, slow}, []string{"3s Unhealthy (Critical): gone", "5s Degraded: slow"}},
		"degraded is told at once": {script{slow, ok}, []string{"1s Degraded: slow", "2s Healthy"}},
		"it gets worse":            {script{warn, warn, warn, bad}, []string{"3s Unhealthy (Warning): odd", "4s Unhealthy (Critical): gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.Check = &test.says
				expect(t, watch(t, c, 10500*time.Millisecond), test.want...)
			})
		})
	}
}

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Check: Func("never", func(context.Context) error { return errors.New("no") })}
		expect(t, watch(t, c, 35*time.Second), "30s Unhealthy (Critical): no")
		c.Severity = Fatal
		expect(t, watch(t, c, 35*time.Second), "30s Unhealthy (Fatal): no")
	})
}

// TestSilence: a check that does not answer has failed, whether it heeds its context or
// not, and is not asked a second time meanwhile.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Interval: time.Second, Timeout: 500 * time.Millisecond, FailureThreshold: 2}
		c.Check = Func("heeds", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		expect(t, watch(t, c, 10*time.Second), "3s Unhealthy (Critical): heeds: no answer within 500ms")

		asked := 0
		c.Severity = Warning
		c.Check = Func("hangs", func(context.Context) error {
			if asked++; asked == 1 {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		// Asked at 1 s; that it is still silent is a second failure at 2.5 s. It answers at
		// 6 s, too late; asked again at 6.5 s it is well.
		expect(t, watch(t, c, 10*time.Second), "2.5s Unhealthy (Warning): hangs: no answer within 500ms", "6.5s Healthy")
	})
}

// TestEnd: Run ends in the middle of an attempt, waits for the check, and finds nobody
// ill for that.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := Config{Interval: time.Second, Timeout: time.Hour, FailureThreshold: 1}
		c.Check = Func("slow", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute)
			ended = true
			return ctx.Err()
		})
		expect(t, watch(t, c, 2*time.Second))
		if !ended {
			t.Error("the check still runs")
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Check: Func("mine", func(context.Context) error { panic("oh") }), FailureThreshold: 1}
		expect(t, watch(t, c, 15*time.Second), "10s Unhealthy (Critical): mine: the check panicked: oh")
	})
}

// TestSlots: monitors that share one slot ask one after the other, and to wait for it
// is no failure.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 1)
		now, asked := 0, 0
		var monitors sync.WaitGroup
		c := Config{Interval: time.Second, Timeout: 2 * time.Second, FailureThreshold: 1, Slots: slots}
		c.Check = Func("busy", func(context.Context) error {
			if now++; now > 1 {
				t.Error("two at once")
			}
			time.Sleep(1900 * time.Millisecond)
			now--
			asked++
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range 4 {
			c.OnChange = func(s HealthStatus) { t.Error(s) }
			m, err := NewMonitor(c)
			if err != nil {
				t.Fatal(err)
			}
			monitors.Go(func() { m.Run(ctx) })
		}
		monitors.Wait()
		if len(slots) != 0 || asked < 9 {
			t.Errorf("%d slots are taken, %d were asked", len(slots), asked)
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := NewMonitor(Config{Check: &script{Unhealthy("a", Critical), Unhealthy("b", Critical)}, FailureThreshold: 1})
		if err != nil || !m.Status().IsHealthy() {
			t.Fatal(m.Status(), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		m.Run(ctx)
		if s := m.Status(); s != Unhealthy("b", Critical) {
			t.Errorf("got %s, want the latest reason", s)
		}
	})
}

func TestConfig(t *testing.T) {
	check := &script{Healthy()}
	for want, c := range map[string]Config{
		"Check is missing":     {},
		"must not be negative": {Check: check, FailureThreshold: -1},
		"severity":             {Check: check, Severity: "Mild"},
		"no room":              {Check: check, Slots: make(chan struct{})},
	} {
		if _, err := NewMonitor(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHeartbeat(10 * time.Second)
		is := func(want string) {
			t.Helper()
			if got := h.Check(t.Context()).String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		is("Unhealthy (Critical): no heartbeat came")
		h.Beat()
		time.Sleep(10 * time.Second)
		is("Healthy")
		time.Sleep(time.Second)
		is("Degraded: the last heartbeat came 11s ago, one is due every 10s")
		time.Sleep(9 * time.Second)
		is("Degraded: the last heartbeat came 20s ago, one is due every 10s")
		time.Sleep(time.Millisecond)
		is("Unhealthy (Critical): the last heartbeat came 20.001s ago, one is due every 10s")
		h.Beat()
		is("Healthy")
		h.SetTimeout(time.Second)
		time.Sleep(1500 * time.Millisecond)
		is("Degraded: the last heartbeat came 1.5s ago, one is due every 1s")
	})
}
