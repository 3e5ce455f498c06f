package breaker

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reference is a circuit that keeps all that happened, and reckons from the
// beginning, second by second, whenever it is asked.
type reference struct {
	cfg    Config
	events []dated
}

type dated struct {
	at int // seconds
	ev Event
}

// past is what the reference makes of its events.
type past struct {
	state             State
	since             int
	turn              uint64
	failed, succeeded int
	trials            map[uint64]int // id -> when it began
	admitted, counted bool           // of the last event
}

func (r reference) reckon(now int) past {
	p := past{trials: map[uint64]int{}}
	turnTo := func(s State, at int) { p = past{state: s, since: at, turn: p.turn + 1, trials: map[uint64]int{}} }
	for t := 0; t <= now; t++ {
		if p.state == HalfOpen && slices.ContainsFunc(slices.Collect(maps.Values(p.trials)), func(began int) bool {
			return r.cfg.TrialTimeout > 0 && t >= began+seconds(r.cfg.TrialTimeout)
		}) {
			turnTo(Open, t)
		}
		if p.state == Open && t == p.since+seconds(r.cfg.ResetTimeout) {
			turnTo(HalfOpen, t)
		}
		for _, d := range r.events {
			if d.at == t {
				r.happen(&p, d, turnTo)
			}
		}
	}
	return p
}

func (r reference) happen(p *past, d dated, turnTo func(State, int)) {
	p.admitted, p.counted = false, false
	switch ev := d.ev.(type) {
	case Tripped:
		turnTo(Open, d.at)
	case Asked:
		p.admitted = p.state == Closed || p.state == HalfOpen && len(p.trials) < r.cfg.HalfOpenMaxRequests
		if p.admitted && p.state == HalfOpen {
			p.trials[ev.ID] = d.at
		}
	case Ended:
		_, trial := p.trials[ev.Ticket.ID]
		if ev.Ticket.Turn != p.turn || p.state == Open || p.state == HalfOpen && !trial {
			return
		}
		delete(p.trials, ev.Ticket.ID)
		bad := ev.Outcome == Failure || ev.Outcome == Timeout || ev.Outcome == Panic
		switch {
		case ev.Outcome == Abandoned:
		case bad && (p.state == HalfOpen || p.failed+1 == r.cfg.FailureThreshold):
			turnTo(Open, d.at)
		case bad:
			p.failed++
		case p.state == Closed:
			p.failed = 0
		case p.succeeded+1 == r.cfg.SuccessThreshold:
			turnTo(Closed, d.at)
		default:
			p.succeeded++
		}
		p.counted = true
	}
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// TestCircuitAgainstReference: every answer, and all that can be seen of the state,
// is what a reading of the whole past gives, however often time was looked at.
func TestCircuitAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.IntRange(1, 4)
		cfg := Config{
			FailureThreshold: small.Draw(t, "failures"), SuccessThreshold: small.Draw(t, "successes"),
			ResetTimeout:        time.Duration(rapid.IntRange(1, 8).Draw(t, "reset")) * time.Second,
			HalfOpenMaxRequests: small.Draw(t, "trials"), TrialTimeout: time.Duration(rapid.IntRange(0, 8).Draw(t, "timeout")) * time.Second,
		}
		r, now := reference{cfg: cfg}, 0
		var c, seldom Circuit // seldom is never told of time alone
		tickets := []Ticket{{ID: 999}}
		for i := range rapid.IntRange(1, 60).Draw(t, "length") {
			now += rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 5, 9}).Draw(t, "wait")
			ev := drawEvent(t, uint64(i), tickets)
			r.events = append(r.events, dated{now, ev})
			before := c
			at := time.Duration(now) * time.Second
			var a, b Answer
			c, a = c.Step(cfg, ev, at)
			if ev != (Passed{}) {
				seldom, b = seldom.Step(cfg, ev, at)
				if a != b {
					t.Fatalf("%T at %d s: %+v, and %+v if it is not looked at", ev, now, a, b)
				}
			}
			if a.Admitted {
				tickets = append(tickets, a.Ticket)
			}
			if again, _ := before.Step(cfg, ev, at); !reflect.DeepEqual(again, c) {
				t.Fatalf("a Step changed the circuit it was given: %+v, then %+v", c, again)
			}
			compare(t, r.reckon(now), c, a)
			if late, _ := seldom.Step(cfg, Passed{}, at); !reflect.DeepEqual(late, c) {
				t.Fatalf("looked at seldom it is %+v, else %+v", late, c)
			}
		}
	})
}

func drawEvent(t *rapid.T, id uint64, tickets []Ticket) Event {
	switch rapid.SampledFrom([]string{"ask", "ask", "ask", "end", "end", "end", "end", "trip", "pass"}).Draw(t, "event") {
	case "ask":
		return Asked{ID: id}
	case "trip":
		return Tripped{}
	case "pass":
		return Passed{}
	}
	outcome := rapid.SampledFrom([]Outcome{Success, Success, Success, Failure, Failure, Timeout, Panic, Abandoned}).Draw(t, "outcome")
	return Ended{Ticket: rapid.SampledFrom(tickets).Draw(t, "ticket"), Outcome: outcome}
}

func compare(t *rapid.T, want past, c Circuit, a Answer) {
	began := map[uint64]int{}
	for _, trial := range c.Trials {
		began[trial.ID] = seconds(trial.Since)
	}
	got := past{c.State, seconds(c.Since), c.Turn, c.Failures, c.Successes, began, a.Admitted, a.Counted}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// TestJSON: all plain values make the round trip, and a state that is none is refused.
func TestJSON(t *testing.T) {
	c := Circuit{State: HalfOpen, Since: time.Minute, Turn: 2, Successes: 1, Trials: []Trial{{ID: 7, Since: 61 * time.Second}}}
	again(t, c)
	again(t, DefaultConfig())
	again(t, Metrics{State: Open, Turns: 3, HalfOpen: Counts{Panic: 1, Refused: 4}})
	again(t, []Outcome{Success, Failure, Timeout, Panic, Abandoned})
	again(t, []State{Closed, Open, HalfOpen})
	var s State
	var o Outcome
	if json.Unmarshal([]byte(`"ajar"`), &s) == nil || json.Unmarshal([]byte(`"maybe"`), &o) == nil {
		t.Error("unknown names are accepted")
	}
	if _, err := json.Marshal(State(9)); err == nil || State(9).String() != "unknown (9)" {
		t.Errorf("an unknown state is written: %v", err)
	}
}

func again[T any](t *testing.T, v T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("%s is read as %+v (%v), want %+v", text, back, err, v)
	}
}

// TestConfig: the defaults are the seed's, and what cannot work is refused.
func TestConfig(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil || good.FailureThreshold != 5 || good.SuccessThreshold != 3 ||
		good.ResetTimeout != 30*time.Second || good.HalfOpenMaxRequests != 3 {
		t.Errorf("the defaults are %+v (%v)", good, err)
	}
	for _, spoil := range []func(*Config){
		func(c *Config) { c.FailureThreshold = 0 }, func(c *Config) { c.SuccessThreshold = 0 },
		func(c *Config) { c.ResetTimeout = 0 }, func(c *Config) { c.HalfOpenMaxRequests = 0 },
		func(c *Config) { c.TrialTimeout = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
