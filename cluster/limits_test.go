package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// TestWaitingIsBounded: as many requests wait as may, the next is told at once that
// it was not tried.
func TestWaitingIsBounded(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		lead := &leader{n: n, ctx: n.leading.Load().ctx, proposals: make(chan *proposal, maxWaiting)} // nobody takes from it
		n.leading.Store(lead)
		for range maxWaiting {
			lead.proposals <- nil
		}
		if _, err := apply(n, shopOf("a"), ""); !errors.Is(err, ErrBusy) {
			t.Errorf("beyond %d: %v", maxWaiting, err)
		}
	})
}

// TestBatchIsBounded: what waits goes into entries of maxBatch inputs at most, but for
// one that has more alone, in the order it came.
func TestBatchIsBounded(t *testing.T) {
	l := &leader{n: &Node{cfg: Config{Clock: func() time.Duration { return 0 }}}, began: time.Now(), idle: true}
	for _, size := range []int{1000, 1000, 1000, 4000, 1, 1} {
		cmd := fsm.Command{Type: fsm.TypeEvents, Events: make([]supervisor.ChildEvent, size)}
		l.propose(&proposal{cmd: cmd})
	}
	var sizes []int
	for len(l.waiting) > 0 {
		if _, err := l.pack(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range l.flight {
			n += p.size
		}
		sizes = append(sizes, n)
	}
	if got := fmt.Sprint(sizes); got != "[2000 1000 4000 2]" {
		t.Errorf("entries of %s", got)
	}
}

// TestContactsAreBounded: ids that nobody let in cannot fill the leader's memory.
func TestContactsAreBounded(t *testing.T) {
	l := &leader{n: &Node{}, contacts: make(map[string]*contact)}
	for i := range maxContacts {
		l.contacts[fmt.Sprint("x", i)] = &contact{}
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	s := newSession(far, link.NewStream(far), link.Hello{Node: link.Node{ID: "new"}})
	l.onHello("new", sessionNews{s: s, opened: true})
	if out := s.take(); !strings.Contains(out.refused, "too many nodes") || len(l.contacts) != maxContacts {
		t.Errorf("refused with %q, %d contacts", out.refused, len(l.contacts))
	}
}

// TestOneSessionPerNode: the newest ends the one before.
func TestOneSessionPerNode(t *testing.T) {
	inLab(t, func(l *lab) {
		l.leader()
		first, second := l.dial("n2", "n1"), l.dial("n2", "n1")
		l.hello(first, "n2")
		if d := l.recv(first); !d.Full {
			t.Fatalf("%+v", d)
		}
		l.hello(second, "n2")
		if d := l.recv(second); !d.Full {
			t.Fatalf("%+v", d)
		}
		var d link.Down
		for first.Read(&d) == nil {
		}
		if err := second.Write(link.Up{Pong: 1}); err != nil {
			t.Errorf("the newest has ended: %v", err)
		}
	})
}

// TestSilentSessionIsLeft: who connects and says nothing is hung up on.
func TestSilentSessionIsLeft(t *testing.T) {
	inLab(t, func(l *lab) {
		l.leader()
		s := l.dial("n2", "n1")
		began := time.Now()
		var d link.Down
		if err := s.Read(&d); err == nil || time.Since(began) > helloTimeout+time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestTooManyEventsEndTheSession of a node that says more at once than it may.
func TestTooManyEventsEndTheSession(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		s := l.dial("n2", "n1")
		l.hello(s, "n2")
		l.recv(s)
		if err := s.Write(link.Up{Seq: 1, Events: make([]supervisor.ChildEvent, link.MaxEvents+1)}); err != nil {
			t.Fatal(err)
		}
		var d link.Down
		for s.Read(&d) == nil {
		}
		if _, err := n.Submit(context.Background(), fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "n2", On: true}}); err != nil {
			t.Errorf("the leader does not go on: %v", err)
		}
	})
}
