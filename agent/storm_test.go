package agent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// leader is a cluster reduced to what a node sees of it: it wants one life of
// each of some paths, replaces those that end, changes its mind, its term and
// its temper, and loses sessions.
type leader struct {
	*node
	rng         *rand.Rand
	term, index uint64
	epoch       uint64
	want        map[string]link.Order
	ended       map[supervisor.Ref]bool // whose end was told
	p           *peer
	seq         uint64      // taken of the agent
	old         []link.Down // sent before
}

func (l *leader) order(path string, delay time.Duration) link.Order {
	l.epoch++
	o := delayed(path, l.epoch, delay)
	if l.rng.IntN(3) == 0 {
		o.Program.MinUptime = time.Duration(l.rng.IntN(2000)) * time.Millisecond
	}
	o.Program.Grace = 3 * time.Second
	l.want[path] = o
	return o
}

func (l *leader) orders() []link.Order {
	var list []link.Order
	for _, path := range l.paths() {
		if o, ok := l.want[path]; ok {
			list = append(list, o)
		}
	}
	return list
}

func (l *leader) paths() (list []string) {
	for i := range 12 {
		list = append(list, fmt.Sprintf("t/%02d", i))
	}
	return list
}

// tell sends a Down, unless there is no session to send it on.
func (l *leader) tell(d link.Down) {
	if l.p == nil {
		return
	}
	for {
		l.hear()
		select {
		case l.p.downs <- d:
			l.old = append(l.old, d)
			return
		case <-l.p.gone:
			l.p = nil
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (l *leader) commit(drop []supervisor.Ref, orders ...link.Order) {
	l.index++
	l.tell(link.Down{Term: l.term, Index: l.index, Drop: drop, Orders: orders, Ack: l.seq})
}

// hear takes all that the agent sends now, and a new session if it opens one.
func (l *leader) hear() {
	for {
		synctest.Wait()
		if l.p == nil {
			if len(l.calls) == 0 {
				return
			}
			l.p = <-l.calls
			l.p.hello()
			l.tell(link.Down{Term: l.term, Index: l.index, Full: true, Orders: l.orders(), Ack: l.seq})
			continue
		}
		select {
		case up := <-l.p.ups:
			l.p.check(up)
			for _, e := range up.Events {
				if e.Type == exited || e.Type == crashed {
					l.ended[supervisor.Ref{Path: e.Path, Epoch: e.Epoch}] = true
				}
			}
			l.seq = max(l.seq, up.Seq)
		case <-l.p.gone:
			l.p = nil
		default:
			return
		}
	}
}

// judge answers the ends that were told.
func (l *leader) judge() {
	for _, path := range l.paths() {
		o, ok := l.want[path]
		if !ok || !l.ended[o.Ref] {
			continue
		}
		delete(l.want, path)
		if o.Action == supervisor.Halt && l.rng.IntN(2) == 0 {
			l.commit([]supervisor.Ref{o.Ref})
			continue
		}
		l.commit([]supervisor.Ref{o.Ref}, l.order(path, time.Duration(l.rng.IntN(1500))*time.Millisecond))
	}
}

// act is one whim.
func (l *leader) act() {
	path := l.paths()[l.rng.IntN(12)]
	o, ok := l.want[path]
	switch k := l.rng.IntN(12); {
	case k <= 1 && !ok:
		l.commit(nil, l.order(path, 0))
	case k == 2 && ok: // replaced without waiting for its end
		l.commit([]supervisor.Ref{o.Ref}, l.order(path, 0))
	case k == 3 && ok:
		o.Action = supervisor.Halt
		l.want[path] = o
		l.commit(nil, o)
	case k == 4 && ok:
		delete(l.want, path)
		l.commit([]supervisor.Ref{o.Ref})
	case k == 5 && ok:
		l.commit(nil, o) // once more
	case k == 6:
		l.procs.Kill(path, "SIGKILL")
	case k == 7 && l.p != nil:
		l.p.Close()
		l.p = nil
	case k == 8 && l.p != nil: // a new leader, whose log may be shorter
		l.term++
		l.index = l.index / 2
		l.p.Close()
		l.p = nil
	case k == 9 && len(l.old) > 0: // something late, or twice
		d := l.old[l.rng.IntN(len(l.old))]
		if d.Term < l.term || d.Term == l.term && d.Index < l.index {
			l.tell(d)
		}
	case k == 10:
		l.down.Store(!l.down.Load())
	}
}

func randomScript(rng *rand.Rand) simproc.Script {
	ms := func(n int) time.Duration { return time.Duration(rng.IntN(n)) * time.Millisecond }
	s := simproc.Script{Latency: ms(50), UpAfter: ms(300), StopTime: ms(2000), Hang: rng.IntN(6) == 0}
	switch rng.IntN(4) {
	case 0:
		s.Exit, s.ExitAfter, s.Code = true, ms(4000), rng.IntN(3)
	case 1:
		s.Crashes, s.CrashAfter = 3, ms(500)
	case 2:
		if rng.IntN(3) == 0 {
			s.Fail = "no such program"
		}
	}
	return s
}

// TestStorm: whatever happens on the way, no life is begun twice, two of a path
// never meet, no end goes untold, and in the end what runs is what is ordered.
func TestStorm(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, n *node) { storm(t, n, seed) })
		})
	}
}

func storm(t *testing.T, n *node, seed uint64) {
	l := &leader{
		node: n, rng: rand.New(rand.NewPCG(seed, 1)), term: 1,
		want: map[string]link.Order{}, ended: map[supervisor.Ref]bool{},
	}
	for _, path := range l.paths() {
		l.world.Script(path, randomScript(l.rng))
		l.order(path, 0)
	}
	n.run()
	for range 400 {
		time.Sleep(time.Duration(l.rng.IntN(200)) * time.Millisecond)
		l.hear()
		l.act()
		if l.rng.IntN(3) > 0 {
			l.judge()
		}
	}
	l.down.Store(false)
	for _, path := range l.paths() {
		l.world.Script(path, simproc.Script{})
		if _, ok := l.want[path]; !ok {
			l.commit(nil, l.order(path, 0))
		}
	}
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		l.hear()
		l.judge()
	}
	l.verdict(t)
}

func (l *leader) verdict(t *testing.T) {
	l.oracle()
	var want, got []supervisor.Ref
	for _, o := range l.orders() {
		if o.Action == supervisor.Run {
			want = append(want, o.Ref)
		}
	}
	lives := l.world.Lives()
	for _, life := range lives {
		if life.End.IsZero() {
			got = append(got, life.Ref)
		} else if !l.ended[life.Ref] {
			t.Errorf("the end of %v was never told", &life)
		}
	}
	slices.SortFunc(got, func(a, b supervisor.Ref) int { return slices.Compare([]byte(a.Path), []byte(b.Path)) })
	if !slices.Equal(got, want) {
		t.Errorf("running: %v\nwant: %v", got, want)
	}
	if len(lives) < 50 {
		t.Errorf("only %d lives: the storm was a breeze", len(lives))
	}
}
