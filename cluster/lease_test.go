package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
)

// tenant opens a session whose node is admitted.
func (l *lab) tenant(id string) *link.Stream {
	l.t.Helper()
	s := l.dial(id, "n1")
	l.hello(s, id)
	if d := l.recv(s); !d.Full {
		l.t.Fatalf("at first: %+v", d)
	}
	return s
}

func (l *lab) renew(s *link.Stream, at int64) {
	l.t.Helper()
	if err := s.Write(link.Up{Renew: at}); err != nil {
		l.t.Fatal(err)
	}
}

func TestGrantEchoesTheRenewal(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		s := l.tenant("n2")
		for _, at := range []int64{42, 43, 7} { // what it means is the agent's matter
			l.renew(s, at)
			if d := l.recv(s); d.Grant != at {
				t.Errorf("a renewal of %d was answered by %+v", at, d)
			}
		}
		if got := n.leading.Load().leases.last["n2"]; got == 0 || got > time.Since(l.began) {
			t.Errorf("the last one was received at %v", got)
		}
	})
}

// TestNoGrantWithoutAQuorum: a leader that others may have replaced answers nobody,
// though the one who asks is on its side.
func TestNoGrantWithoutAQuorum(t *testing.T) {
	inLab(t, func(l *lab) {
		l.whole()
		s := l.tenant("n4")
		granted := make(chan int64, 1000)
		l.renew(s, 1)
		if d := l.recv(s); d.Grant != 1 {
			l.t.Fatalf("with a quorum: %+v", d)
		}
		go func() {
			defer close(granted)
			for {
				var d link.Down
				if s.Read(&d) != nil {
					return
				}
				if d.Grant > 0 {
					granted <- d.Grant
				}
			}
		}()
		l.net.Partition([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})
		asked := int64(1)
		for ; s.Write(link.Up{Renew: asked + 1}) == nil && asked < 1000; asked++ {
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		if g, more := <-granted; more || asked < 5 || asked == 1000 {
			l.t.Errorf("without a quorum it granted %d; it was asked %d times", g, asked)
		}
	})
}

// TestGrantIsRefused: only a node that is admitted, alive, and under no sentence
// has a right to its lease, in the session that asks.
func TestGrantIsRefused(t *testing.T) {
	st := newState(t)
	st.node("n1", nil)
	s := newSession(nil, nil, link.Hello{})
	for name, spoil := range map[string]func(*leader, *contact){
		"":                   func(*leader, *contact) {},
		"not admitted":       func(_ *leader, c *contact) { c.admitted = false },
		"in another session": func(_ *leader, c *contact) { c.session = newSession(nil, nil, link.Hello{}) },
		"without contact":    func(l *leader, _ *contact) { delete(l.contacts, "n1") },
		"condemned":          func(l *leader, _ *contact) { l.leases.condemned["n1"] = true },
	} {
		l := &leader{
			n: &Node{cfg: Config{Clock: func() time.Duration { return time.Minute }}}, contacts: map[string]*contact{},
			leases: leases{last: map[string]time.Duration{}, condemned: map[string]bool{}},
		}
		c := &contact{session: s, admitted: true}
		l.contacts["n1"] = c
		spoil(l, c)
		st.m.View(func(v fsm.View) { l.grant(v, renewal{s: s, node: "n1", sent: 5, at: time.Second}) })
		if out := s.take(); out.grant == 5 != (name == "") || l.leases.last["n1"] == time.Second != (name == "") {
			t.Errorf("%q: granted %d, last %v", name, out.grant, l.leases.last)
		}
	}
}

// TestRegressionCondemnedForEver: a restore takes back the entry that was to end a
// node's exclusive lives, and its leader goes on: the node is under no sentence then.
// Where leadership was lost the entry may yet be in the log, so the sentence stands.
func TestRegressionCondemnedForEver(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {raft.ErrEnqueueTimeout, false}, {raft.ErrAbortedByRestore, false},
		{raft.ErrLeadershipLost, true}, {raft.ErrRaftShutdown, true},
	} {
		l := &leader{contacts: map[string]*contact{}, leases: leases{condemned: map[string]bool{}}}
		l.condemn(fsm.Command{Type: fsm.TypeNodeFenced, Node: &fsm.NodeRef{ID: "n1"}})
		if !l.leases.condemned["n1"] {
			t.Fatal("it is under no sentence")
		}
		err := tt.err
		if err != nil {
			err = classify(err)
		}
		l.waiting[0].then(fsm.Result{}, err)
		if got := l.leases.condemned["n1"]; got != tt.want {
			t.Errorf("%v: condemned %v", tt.err, got)
		}
	}
}

// TestLeaseCounts: a node that this leader has not answered counts from the
// barrier: a leader before may have answered it until then.
func TestLeaseCounts(t *testing.T) {
	ls := leases{barrier: 10 * time.Second, last: map[string]time.Duration{"n1": 12 * time.Second}}
	if got := ls.until("n1", time.Second); got != 13*time.Second {
		t.Errorf("n1 until %v", got)
	}
	if got := ls.until("n2", time.Second); got != 11*time.Second {
		t.Errorf("n2 until %v", got)
	}
}

// TestOverdue: a node has W to ask for its lease, from when it first holds an
// exclusive life, and again from each hello.
func TestOverdue(t *testing.T) {
	now := time.Hour
	st := newState(t)
	st.node("n1", nil)
	l := &leader{
		n:      &Node{cfg: Config{Clock: func() time.Duration { return now }}, times: TimesOf(gossip.LAN)},
		leases: leases{since: map[string]time.Duration{}, last: map[string]time.Duration{}},
	}
	w := l.n.times.W()
	look := func(wantLeased, wantOverdue bool) {
		t.Helper()
		st.m.View(func(v fsm.View) {
			leased, overdue := l.leased(v)
			if leased["n1"] != wantLeased || overdue["n1"] != wantOverdue {
				t.Errorf("leased %v, overdue %v", leased["n1"], overdue["n1"])
			}
		})
	}
	look(false, false)
	shop := shopOf("a")
	shop.Exclusive = true
	st.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shop})
	st.apply(st.next(inputs{signs: map[string]sign{"n1": {session: true}}})...)
	look(false, false) // from here on it holds one
	now += w - 1
	look(false, false)
	now++
	look(false, true)
	l.leases.hello("n1") // it comes, and does not renew
	look(false, true)
	l.leases.last["n1"] = now
	l.leases.hello("n1")
	look(true, false)
	now += w - 1
	look(true, false)
	now++
	look(false, true)
}

// TestTimesLeaveRoom: in every profile the numbers keep what the proof and the
// promises rest on.
func TestTimesLeaveRoom(t *testing.T) {
	for _, p := range []gossip.Profile{gossip.LAN, gossip.Fast, gossip.WAN} {
		times := TimesOf(p)
		if slowest := times.Fence + times.Kill; float64(times.W()) < float64(slowest)*(1+drift) || times.Slack < 2*times.Tick {
			t.Errorf("%s: W %v is too short for %v", p, times.W(), slowest)
		}
		// A leader falls silent just before it would have answered. Meanwhile others
		// elect one: an election time-out, two for a split vote. Then a dial, or two.
		if need := times.Renew + max(times.Hush(), 3*times.Election) + 500*time.Millisecond; times.Soft < need {
			t.Errorf("%s: an election may take %v with all that follows, and leases end after %v", p, need, times.Soft)
		}
		// A leader whose disk hangs grants nothing: it has to give up, and another to
		// have won, before its node's leases run out everywhere.
		if need := times.Renew + times.Stall + 3*times.Election; times.W() < need {
			t.Errorf("%s: a hung disk stops all grants for %v, and leases have run out after %v", p, need, times.W())
		}
		if times.Soft+times.Renew > times.Fence || times.Renew > times.Ping {
			t.Errorf("%s: soft %v, fence %v, renew %v", p, times.Soft, times.Fence, times.Renew)
		}
	}
	// P16: after a pause of 2 s with round trips of 200 ms the lease still holds.
	if lan := TimesOf(gossip.LAN); lan.Soft < 2*time.Second+lan.Renew+2*200*time.Millisecond {
		t.Errorf("lan: soft %v", lan.Soft)
	}
}

// TestNextFences: the lease alone condemns exclusive children.
func TestNextFences(t *testing.T) {
	dead := sign{silent: time.Minute, gossip: gossip.Dead, dead: time.Minute}
	well, hung := sign{session: true, gossip: gossip.Alive}, sign{session: true, silent: 6 * time.Second, gossip: gossip.Alive}
	for _, tt := range []struct {
		name            string
		sign            sign
		leased, overdue bool
		want            string
	}{
		{"well", well, true, false, ""},
		{"well, not yet asked", well, false, false, ""},
		{"dead in its lease", dead, true, false, "lost leased"},
		{"dead after its lease", dead, false, false, "lost"},
		{"goodbye", sign{bye: true, empty: true, gone: 1}, true, false, "lost"},
		{"goodbye, but something is left", sign{bye: true, gone: 1}, true, false, "lost leased"},
		{"hung, heard by gossip", hung, false, true, "fenced"},
		{"unknown to the leader", sign{}, false, true, "fenced"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newState(t)
			s.node("n1", nil)
			shop := shopOf("a")
			shop.Exclusive = true
			s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shop})
			leased := map[string]bool{"n1": true}
			s.apply(s.next(inputs{signs: map[string]sign{"n1": well}, leased: leased})...) // gives it a node
			leased["n1"] = tt.leased
			in := inputs{signs: map[string]sign{"n1": tt.sign}, leased: leased, overdue: map[string]bool{"n1": tt.overdue}}
			cmds := s.next(in)
			if got := told(cmds); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, c := range cmds {
				s.apply(c)
			}
			if tt.want == "lost leased" { // the second step, once the lease has run out
				if got := told(s.next(in)); got != "" {
					t.Errorf("then %q", got)
				}
				in.leased["n1"] = false
				if got := told(s.next(in)); got != "fenced" {
					t.Errorf("at last %q", got)
				}
				s.apply(s.next(in)...)
			}
			if got := told(s.next(in)); got != "" {
				t.Errorf("again: %q", got)
			}
		})
	}
}

// told sums up what next says of nodes.
func told(cmds []fsm.Command) string {
	var words []string
	for _, c := range cmds {
		switch c.Type {
		case fsm.TypeNodeLost:
			words = append(words, "lost")
		case fsm.TypeNodeFenced:
			words = append(words, "fenced")
		default:
			continue
		}
		if c.Node.Leased {
			words = append(words, "leased")
		}
	}
	return strings.Join(words, " ")
}
