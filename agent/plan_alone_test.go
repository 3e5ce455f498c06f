package agent

import (
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

func TestPlanAlone(t *testing.T) {
	now, ago := epochZero, func(s int) time.Time { return epochZero.Add(-time.Duration(s) * time.Second) }
	budget := &supervisor.LocalBudget{Left: 1, Share: 1, Period: time.Minute, Backoff: supervisor.Backoff{Base: 5 * time.Second}}
	transient := *budget
	transient.Transient = true
	near := *budget // one more crash in a row moves it
	near.MoveAfter, near.Crashes, near.Used = 2, 1, 1
	crash := supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError}
	normal := supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitNormal}
	ordered := []order{{epoch: 1, local: budget, since: ago(100)}}
	ruled := []order{{epoch: 1, local: budget, since: ago(100), exits: &supervisor.ExitRules{FinishOn: []supervisor.Exit{"3"}}}}
	dead := life{epoch: 1, phase: ended, pending: true, endedAt: ago(5), exit: crash}
	but := func(l life, change func(*life)) []life { change(&l); return []life{l} }
	for _, tt := range []struct {
		name string
		c    child
		want string
		wake time.Time
	}{
		{"nothing", child{}, "", time.Time{}},
		{"it ended", child{orders: ordered, lives: []life{dead}}, "start again 0.1: no leader answers its end", time.Time{}},
		{"its back-off", child{orders: ordered, lives: but(dead, func(l *life) { l.endedAt = ago(3) })}, "", now.Add(2 * time.Second)},
		{"it runs", child{orders: ordered, lives: but(dead, func(l *life) { l.phase = up })}, "", time.Time{}},
		{"acknowledged", child{orders: ordered, lives: but(dead, func(l *life) { l.pending = false })}, "", time.Time{}},
		{"it was to stop", child{orders: ordered, lives: but(dead, func(l *life) { l.stopping = true })}, "", time.Time{}},
		{"it never ran here", child{orders: ordered, lives: but(dead, func(l *life) { l.disowned = true })}, "", time.Time{}},
		{"told, and surely restarted here", child{orders: ordered, lives: but(dead, func(l *life) { l.told = true })}, "start again 0.1: no leader answers its end", time.Time{}},
		{"told, and perhaps escalated", child{orders: ordered, lives: but(dead, func(l *life) { l.told, l.alone = true, alone{count: 1, at: []time.Time{ago(90)}} })}, "", time.Time{}},
		{"told, and perhaps moved", child{orders: []order{{epoch: 1, local: &near, since: ago(100)}}, lives: but(dead, func(l *life) { l.told = true })}, "", time.Time{}},
		{"not told, and its row is over", child{orders: []order{{epoch: 1, local: &near, since: ago(100)}}, lives: []life{dead}}, "start again 0.1: no leader answers its end", time.Time{}},
		{"spent", child{orders: ordered, lives: but(dead, func(l *life) { l.alone = alone{count: 9, at: []time.Time{ago(40)}} })}, "", now.Add(20*time.Second + 1)},
		{"no more spent", child{orders: ordered, lives: but(dead, func(l *life) { l.alone = alone{count: 9, at: []time.Time{ago(61)}} })}, "start again 0.1: no leader answers its end", time.Time{}},
		{"nothing lent", child{orders: []order{{epoch: 1}}, lives: []life{dead}}, "", time.Time{}},
		{"halted", child{orders: []order{{epoch: 1, halt: true, local: budget}}, lives: []life{dead}}, "", time.Time{}},
		{"not ordered", child{lives: []life{dead}}, "", time.Time{}},
		{"replaced", child{orders: []order{ordered[0], {epoch: 2, local: budget}}, lives: []life{dead}}, "", time.Time{}},
		{"another ends first", child{orders: []order{{epoch: 2, local: budget}}, lives: []life{{epoch: 1, phase: up}, {epoch: 2, phase: ended, pending: true}}}, "", time.Time{}},
		{"a fatal end", child{orders: ordered, lives: but(dead, func(l *life) { l.exit.Fatal = true })}, "", time.Time{}},
		{"by its own word", child{orders: ordered, lives: but(dead, func(l *life) { l.exit.Word = supervisor.VerdictMove })}, "", time.Time{}},
		{"by an exit rule", child{orders: ruled, lives: but(dead, func(l *life) { l.exit.Code = 3 })}, "", time.Time{}},
		{"by no exit rule", child{orders: ruled, lives: but(dead, func(l *life) { l.exit.Code = 4 })}, "start again 0.1: no leader answers its end", time.Time{}},
		{"a normal end", child{orders: ordered, lives: but(dead, func(l *life) { l.exit = normal })}, "start again 0.1: no leader answers its end", time.Time{}},
		{"a normal end of a transient", child{orders: []order{{epoch: 1, local: &transient, since: ago(100)}}, lives: but(dead, func(l *life) { l.exit = normal })}, "", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acts, wake := planAlone(&tt.c, now)
			got := ""
			if len(acts) > 0 {
				got = acts[0].String()
			}
			if got != tt.want || len(acts) > 1 || !wake.Equal(tt.wake) {
				t.Errorf("%v, wake %v; want %q, wake %v", acts, wake, tt.want, tt.wake)
			}
		})
	}
}

func TestOutboxDrops(t *testing.T) {
	var o outbox
	a, b := supervisor.Ref{Path: "a", Epoch: 1}, supervisor.Ref{Path: "b", Epoch: 1}
	for _, ref := range []supervisor.Ref{a, b, a, b} {
		o.add(supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch})
	}
	o.take(3, epochZero) // a, b, a
	o.drop(a)
	o.addAt(supervisor.ChildEvent{Path: "a", Epoch: 1, Type: supervisor.EventRestarted}, []time.Time{epochZero})
	events, seq := o.take(9, epochZero.Add(time.Second))
	if len(events) != 2 || events[0].Path != "b" || events[1].Type != supervisor.EventRestarted || seq != 5 || !o.drained() {
		t.Fatalf("then %+v up to %d", events, seq)
	}
	if len(events[1].Ages) != 1 || events[1].Ages[0] != time.Second {
		t.Errorf("ages: %v", events[1].Ages)
	}
	// The leader has the end that was dropped; what took its place is still to come.
	if gone := o.ack(3); len(gone) != 1 || gone[0].Path != "b" {
		t.Errorf("acknowledged: %+v", gone)
	}
	if o.rewind(); len(o.items) != 2 {
		t.Errorf("left: %+v", o.items)
	}
}
