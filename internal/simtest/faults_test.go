package simtest

import (
	"context"
	"strings"
	"time"

	"github.com/selfware/selfware/fsm"
)

// inflict makes a fault happen and gives what ends it, if anything does.
func (s *sim) inflict(f Fault) (undo func()) {
	if verb, ok := strings.CutPrefix(f.What, "verb-"); ok {
		s.client.send(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: verb, Path: f.Path, To: f.To}})
		return nil
	}
	switch f.What {
	case "kill":
		return s.kill(f)
	case "apply":
		s.client.send(fsm.Command{Type: fsm.TypeApplyTree, Tree: f.Tree})
		return nil
	case "delete":
		s.client.send(fsm.Command{Type: fsm.TypeDeleteTree, Name: f.Path})
		return nil
	case "drain":
		s.client.send(drainCommand(s.named(f.Who).id, true))
		return func() { s.client.send(drainCommand(s.named(f.Who).id, false)) }
	case "crash-all":
		return s.crashAll(f.Who == "move")
	}
	m := s.who(f.Who)
	if m == nil {
		return nil
	}
	switch f.What {
	case "crash", "crash-move", "stop":
		return s.takeDown(m, f.What)
	case "pause":
		ip := m.ip
		s.net.Pause(ip)
		return func() { s.net.Resume(ip) }
	case "mute":
		m.mute.Store(true)
		return func() { m.mute.Store(false) }
	case "drop-session":
		m.p.dropSession()
		return nil
	case "leader-flap":
		s.flap(f.Count)
		return nil
	}
	return s.cut(m, f.What)
}

func drainCommand(id string, on bool) fsm.Command {
	return fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: id, On: on}}
}

// takeDown ends a machine's node; it comes back unless something brought it
// back before.
func (s *sim) takeDown(m *machine, how string) (undo func()) {
	if how == "stop" {
		m.stop()
	} else {
		m.crash()
	}
	seq := m.seq
	return func() {
		if m.p != nil || m.seq != seq {
			return
		}
		if how == "crash-move" {
			m.move()
		}
		m.boot()
	}
}

func (s *sim) crashAll(move bool) (undo func()) {
	for _, m := range s.machines {
		m.crash()
	}
	return func() {
		for _, m := range s.machines {
			if m.p == nil && move {
				m.move()
			}
		}
		s.bootAll()
	}
}

// kill ends the running life of a path, and those that follow it, one by one.
func (s *sim) kill(f Fault) (undo func()) {
	s.wg.Go(func() {
		for range f.Count {
			for range 40 { // until there is one
				if s.killOnce(f.Path) {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(30 * time.Millisecond)
		}
	})
	return nil
}

// killOnce ends the running lives of a path, wherever.
func (s *sim) killOnce(path string) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.machines {
		if m.p != nil && m.p.procs.Kill(path, "SIGKILL") {
			found = true
		}
	}
	return found
}

// flap hands leadership round, in quick succession.
func (s *sim) flap(times int) {
	for range times {
		if l := s.leader(); l != nil {
			node := l.p.node
			s.wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = node.Transfer(ctx, "")
			})
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// cut cuts links by shape, around a machine.
func (s *sim) cut(m *machine, shape string) (undo func()) {
	var others []*machine
	for _, x := range s.machines {
		if x != m {
			others = append(others, x)
		}
	}
	type pair struct{ a, b string }
	var pairs []pair
	one := func(a, b *machine, oneWay bool) {
		s.net.Cut(a.ip, b.ip, oneWay)
		pairs = append(pairs, pair{a.ip, b.ip})
	}
	switch shape {
	case "alone":
		for _, x := range others {
			one(m, x, false)
		}
	case "one-way-out", "one-way-in":
		for _, x := range others {
			if shape == "one-way-out" {
				one(m, x, true)
			} else {
				one(x, m, true)
			}
		}
	case "pair":
		one(m, others[0], false)
	case "halves": // m and, of five, one more, against the rest
		minority := append([]*machine{m}, others[:len(others)/4]...)
		for _, a := range minority {
			for _, b := range others[len(others)/4:] {
				one(a, b, false)
			}
		}
	case "bridge": // two halves that both see m
		for _, a := range others[:2] {
			for _, b := range others[2:] {
				one(a, b, false)
			}
		}
	case "ring": // each sees its two neighbours only
		for i := range s.machines {
			one(s.machines[i], s.machines[(i+2)%len(s.machines)], false)
		}
	}
	return func() {
		for _, p := range pairs {
			s.net.Heal(p.a, p.b)
		}
	}
}
