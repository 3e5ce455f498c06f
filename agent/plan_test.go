package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

var epochZero = time.Unix(1000, 0) // "now" of the table below

func TestPlan(t *testing.T) {
	due, later := epochZero, epochZero.Add(time.Second)
	tests := []struct {
		name      string
		c         child
		unsettled bool
		lease     tenure
		want      string // actions, then "wake"
	}{
		{name: "nothing", want: ""},
		{name: "start", c: child{orders: []order{{epoch: 1, due: due}}}, want: "start 1"},
		{name: "not yet due", c: child{orders: []order{{epoch: 1, due: later}}}, want: "wake"},
		{name: "it runs", c: child{orders: []order{{epoch: 1}}, lives: []life{{epoch: 1}}, last: 1}, want: ""},
		{name: "stop", c: child{orders: []order{{epoch: 1, halt: true}}, lives: []life{{epoch: 1}}, last: 1}, want: "stop 1"},
		{name: "it stops", c: child{orders: []order{{epoch: 1, halt: true}}, lives: []life{{epoch: 1, stopping: true}}, last: 1}, want: ""},
		{name: "not named", c: child{lives: []life{{epoch: 1, phase: up}}, last: 1}, want: "stop 1"},
		{name: "perhaps not named", c: child{lives: []life{{epoch: 1, phase: up}}, last: 1}, unsettled: true, want: ""},
		{name: "stop unknown", c: child{orders: []order{{epoch: 1, halt: true}}}, want: "disown 1"},
		{name: "start what came before", c: child{orders: []order{{epoch: 1}}, last: 2}, want: "disown 1"},
		{name: "start what ended and was forgotten", c: child{orders: []order{{epoch: 2}}, last: 2}, want: "disown 2"},
		{name: "ended, on its way", c: child{orders: []order{{epoch: 1}}, lives: []life{{epoch: 1, phase: ended, pending: true}}, last: 1}, want: ""},
		{name: "ended, ordered again", c: child{orders: []order{{epoch: 1}}, lives: []life{{epoch: 1, phase: ended}}, last: 1}, want: "report 1"},
		{name: "ended, halted again", c: child{orders: []order{{epoch: 1, halt: true}}, lives: []life{{epoch: 1, phase: ended}}, last: 1}, want: "report 1"},
		{name: "ended, answered", c: child{orders: []order{{epoch: 1, answered: true}}, lives: []life{{epoch: 1, phase: ended}}, last: 1}, want: ""},
		{name: "ended, dropped", c: child{lives: []life{{epoch: 1, phase: ended}}, last: 1}, want: "forget 1"},
		{name: "ended, dropped, on its way", c: child{lives: []life{{epoch: 1, phase: ended, pending: true}}, last: 1}, want: ""},
		{name: "replaced", c: child{orders: []order{{epoch: 2}}, lives: []life{{epoch: 1}}, last: 1}, want: "stop 1"},
		{name: "replaced in doubt", c: child{orders: []order{{epoch: 2}}, lives: []life{{epoch: 1}}, last: 1}, unsettled: true, want: "stop 1"},
		{name: "replaced, both ordered", c: child{orders: []order{{epoch: 1}, {epoch: 2}}, lives: []life{{epoch: 1}}, last: 1}, want: "stop 1"},
		{name: "replaced, the old one stops", c: child{orders: []order{{epoch: 2}}, lives: []life{{epoch: 1, stopping: true}}, last: 1}, want: ""},
		{name: "replaced, the old one is gone", c: child{orders: []order{{epoch: 2}}, lives: []life{{epoch: 1, phase: ended, pending: true}}, last: 1}, want: "start 2"},
		{name: "two waiting", c: child{orders: []order{{epoch: 1}, {epoch: 2}}}, want: "disown 1, start 2"},
		{name: "newer one halted", c: child{orders: []order{{epoch: 1}, {epoch: 2, halt: true}}, lives: []life{{epoch: 1}}, last: 1}, want: "stop 1, disown 2"},
		{name: "old halted, new waits", c: child{orders: []order{{epoch: 1, halt: true}, {epoch: 2}}, lives: []life{{epoch: 1}}, last: 1}, want: "stop 1"},
		{name: "exclusive, lease unproven", c: child{orders: []order{{epoch: 1, exclusive: true}}}, want: ""},
		{name: "exclusive, lease held", c: child{orders: []order{{epoch: 1, exclusive: true}}}, lease: held, want: "start 1"},
		{name: "exclusive, lease lapsed", c: child{orders: []order{{epoch: 1, exclusive: true}}}, lease: lapsed, want: ""},
		{name: "exclusive, in back-off", c: child{orders: []order{{epoch: 1, exclusive: true, due: later}}}, lease: held, want: "wake"},
		{name: "exclusive runs, adopted", c: child{orders: []order{{epoch: 1, exclusive: true}}, lives: []life{{epoch: 1, exclusive: true}}, last: 1}, want: ""},
		{name: "exclusive runs, lease held", c: child{orders: []order{{epoch: 1, exclusive: true}}, lives: []life{{epoch: 1, exclusive: true}}, last: 1}, lease: held, want: ""},
		{name: "exclusive runs, lease lapsed", c: child{orders: []order{{epoch: 1, exclusive: true}}, lives: []life{{epoch: 1, exclusive: true}}, last: 1}, lease: lapsed, want: "fence 1"},
		{name: "exclusive stops, lease lapsed", c: child{orders: []order{{epoch: 1, exclusive: true, halt: true}}, lives: []life{{epoch: 1, exclusive: true, stopping: true}}, last: 1}, lease: lapsed, want: ""},
		{name: "exclusive halted, lease lapsed", c: child{orders: []order{{epoch: 1, exclusive: true, halt: true}}, lives: []life{{epoch: 1, exclusive: true}}, last: 1}, lease: lapsed, want: "stop 1"},
		{name: "exclusive unknown and halted, lease lapsed", c: child{orders: []order{{epoch: 1, exclusive: true, halt: true}}}, lease: lapsed, want: "disown 1"},
		{name: "another runs, lease lapsed", c: child{orders: []order{{epoch: 1}}, lives: []life{{epoch: 1}}, last: 1}, lease: lapsed, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			acts, wake := plan(&tt.c, !tt.unsettled, tt.lease, epochZero)
			var got []string
			for _, a := range acts {
				if a.why == "" {
					t.Errorf("%v has no reason", a)
				}
				got = append(got, a.verb.String()+" "+string(rune('0'+a.epoch)))
			}
			if !wake.IsZero() {
				got = append(got, "wake")
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// machine is one path under random messages and facts, in any order.
type machine struct {
	tab     *table
	e       *entry
	now     time.Time
	settled bool
	lease   tenure
	next    supervisor.Epoch
	started map[supervisor.Epoch]bool
}

func (m *machine) alive() (list []*life) {
	for i := range m.e.lives {
		if m.e.lives[i].phase != ended {
			list = append(list, &m.e.lives[i])
		}
	}
	return list
}

func (m *machine) end(l *life) {
	l.phase, l.pending = ended, true
	if o := m.e.order(l.epoch); o != nil {
		o.answered = true
	}
}

// apply does what plan says, as the agent does, and checks each step.
func (m *machine) apply(t *rapid.T) {
	acts, _ := plan(&m.e.child, m.settled, m.lease, m.now)
	for _, a := range acts {
		l := m.e.life(a.epoch)
		switch a.verb {
		case doStart:
			if m.started[a.epoch] || len(m.alive()) > 0 {
				t.Fatalf("%v while %+v", a, m.e.child)
			}
			excl := m.e.order(a.epoch).exclusive
			if excl && m.lease != held {
				t.Fatalf("%v without a lease", a)
			}
			m.started[a.epoch] = true
			m.tab.begin(m.e, a.epoch).exclusive = excl
		case doFence:
			if l.stopping || !l.exclusive || m.lease != lapsed {
				t.Fatalf("%v of %+v", a, l)
			}
			l.stopping = true
		case doStop:
			if l.stopping {
				t.Fatalf("%v twice", a)
			}
			l.stopping = true
		case doReport:
			m.end(l)
		case doDisown:
			m.end(m.tab.begin(m.e, a.epoch))
		case doForget:
			m.tab.forget(m.e, a.epoch)
		}
	}
	if again, _ := plan(&m.e.child, m.settled, m.lease, m.now); len(again) > 0 {
		t.Fatalf("after %v still %v", acts, again)
	}
}

func (m *machine) order(t *rapid.T) {
	epoch := m.next
	if m.next == 1 || rapid.Bool().Draw(t, "new") {
		m.next++
	} else {
		epoch = supervisor.Epoch(rapid.IntRange(1, int(m.next)-1).Draw(t, "epoch"))
	}
	action := rapid.SampledFrom([]supervisor.Action{supervisor.Run, supervisor.Run, supervisor.Halt}).Draw(t, "action")
	o := link.Order{Order: supervisor.Order{Ref: supervisor.Ref{Path: "p", Epoch: epoch}, Action: action}}
	o.Exclusive = true
	o.Delay = time.Duration(rapid.IntRange(0, 3).Draw(t, "delay")) * time.Second
	if rapid.IntRange(0, 3).Draw(t, "full") == 0 {
		m.tab.replace([]link.Order{o}, m.now)
		m.settled = true
		return
	}
	m.tab.put(o, m.now)
}

// TestPlanConverges: whatever came in whatever order, no two lives run at once,
// none is begun twice, and once facts settle reality is what is ordered.
func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{tab: newTable(), now: epochZero, next: 1, started: map[supervisor.Epoch]bool{}}
		m.e = m.tab.get("p")
		pick := func(t *rapid.T, list []*life) *life {
			if len(list) == 0 {
				t.Skip("none")
			}
			return list[rapid.IntRange(0, len(list)-1).Draw(t, "life")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"order": m.order,
			"drop": func(t *rapid.T) {
				m.tab.drop(supervisor.Ref{Path: "p", Epoch: supervisor.Epoch(rapid.IntRange(0, int(m.next)).Draw(t, "epoch"))})
			},
			"up":    func(t *rapid.T) { pick(t, m.alive()).phase = up },
			"end":   func(t *rapid.T) { m.end(pick(t, m.alive())) },
			"time":  func(t *rapid.T) { m.now = m.now.Add(time.Second) },
			"lost":  func(t *rapid.T) { m.settled = false },
			"lease": func(t *rapid.T) { m.lease = rapid.SampledFrom([]tenure{unproven, held, lapsed}).Draw(t, "lease") },
			"ack": func(t *rapid.T) {
				if len(m.e.lives) == 0 {
					t.Skip("none")
				}
				if l := &m.e.lives[rapid.IntRange(0, len(m.e.lives)-1).Draw(t, "life")]; l.phase == ended {
					l.pending = false
				}
			},
			"": m.apply,
		})
		m.settle(t)
		m.check(t)
	})
}

// settle lets everything that was begun come to its end.
func (m *machine) settle(t *rapid.T) {
	m.settled, m.lease, m.now = true, held, m.now.Add(time.Hour)
	for range 4 {
		m.apply(t)
		for _, l := range m.alive() {
			if l.stopping {
				m.end(l)
			}
		}
		for i := range m.e.lives {
			m.e.lives[i].pending = false
		}
	}
}

func (m *machine) check(t *rapid.T) {
	if m.tab.orders != len(m.e.child.orders) {
		t.Fatalf("%d orders counted of %+v", m.tab.orders, m.e.child)
	}
	newest := m.e.newest()
	for _, l := range m.e.lives {
		o := m.e.order(l.epoch)
		if l.phase != ended && (l.stopping || l.epoch != newest) || o == nil || l.phase == ended && !o.answered {
			t.Errorf("life %+v is not as ordered: %+v", l, m.e.child)
		}
	}
	for _, o := range m.e.child.orders {
		if m.e.life(o.epoch) == nil && (o.halt || o.epoch == newest) {
			t.Errorf("order %+v is not done: %+v", o, m.e.child)
		}
	}
}

func TestOutbox(t *testing.T) {
	var o outbox
	for i := range 10 {
		if seq := o.add(supervisor.ChildEvent{PID: i + 1}); seq != uint64(i+1) {
			t.Fatalf("event %d has number %d", i+1, seq)
		}
	}
	pids := func(events []supervisor.ChildEvent) (list []int) {
		for _, e := range events {
			list = append(list, e.PID)
		}
		return list
	}
	take := func(limit int, seq uint64, want ...int) {
		t.Helper()
		if got, last := o.take(limit, epochZero); last != seq || !slices.Equal(pids(got), want) {
			t.Fatalf("took %v up to %d, want %v up to %d", pids(got), last, want, seq)
		}
	}
	take(4, 4, 1, 2, 3, 4)
	if gone := pids(o.ack(2)); !slices.Equal(gone, []int{1, 2}) {
		t.Fatalf("acknowledged: %v", gone)
	}
	take(3, 7, 5, 6, 7)
	o.rewind()
	kept, _ := o.take(1, epochZero)
	o.ack(3)
	if kept[0].PID != 3 { // a writer may still be busy with it
		t.Fatalf("what was taken became %v", kept)
	}
	o.rewind()
	take(1, 4, 4)
	if gone := o.ack(2); gone != nil {
		t.Fatalf("acknowledged twice: %v", gone)
	}
	o.ack(9) // more than was sent in this session
	take(5, 10, 10)
	take(5, 0)
	if gone := pids(o.ack(1 << 60)); !slices.Equal(gone, []int{10}) || o.last != 10 {
		t.Fatalf("acknowledged: %v, last is %d", gone, o.last)
	}
}

func TestTableForgetsTheOldestPaths(t *testing.T) {
	tab := newTable()
	for i := range maxRemembered + 100 {
		e := tab.get(string(rune('a'+i%26)) + time.Duration(i).String())
		e.last = 1
		tab.rest(e)
	}
	busy := tab.get("busy")
	tab.put(link.Order{Order: supervisor.Order{Ref: supervisor.Ref{Path: "busy", Epoch: 1}}}, epochZero)
	tab.rest(busy)
	if n := len(tab.children); n != maxRemembered+1 {
		t.Errorf("%d paths are kept", n)
	}
	if tab.children["a0s"] != nil || tab.children["busy"] == nil {
		t.Error("the wrong ones are kept")
	}
}
