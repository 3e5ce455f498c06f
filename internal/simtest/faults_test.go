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
		s.ask(f, fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: verb, Path: f.Path, To: f.To}})
		return nil
	}
	switch f.What {
	case "kill":
		return s.kill(f)
	case "apply":
		s.ask(f, fsm.Command{Type: fsm.TypeApplyTree, Tree: f.Tree})
		return nil
	case "delete":
		s.ask(f, fsm.Command{Type: fsm.TypeDeleteTree, Name: f.Path})
		return nil
	case "scale":
		s.ask(f, scaleCommand(f))
		return nil
	case "drain":
		s.ask(f, drainCommand(s.named(f.Who).id, true))
		return func() { s.client.send(drainCommand(s.named(f.Who).id, false)) }
	case "crash-all", "crash-all-move", "power-all", "agent-kill-all":
		return s.everyone(f.What)
	}
	m := s.who(f.Who)
	if m == nil {
		return nil
	}
	if bitesAtOnce[f.What] {
		s.bit(f.What)
	}
	switch f.What {
	case "crash", "crash-move", "power", "agent-kill", "stop":
		return s.takeDown(m, f.What)
	case "pause":
		m.pause()
		return m.resume
	case "pause-winner":
		s.pauseWinner(f.For)
		return nil
	case "freeze":
		m.freeze()
		return m.thaw
	case "mute":
		m.mute.Store(true)
		return func() { m.mute.Store(false) }
	case "disk-stall", "disk-error", "disk-full", "disk-slow":
		return s.breakDisk(m, f.What)
	case "wipe":
		return s.wipe(m)
	case "rollback":
		return s.rollback(m)
	case "drop-session":
		if m.p.dropSession() {
			s.bit(f.What)
		}
		return nil
	case "leader-flap":
		s.flap(f.What, f.Count)
		return nil
	}
	return s.disturb(m, f)
}

// bitesAtOnce are the faults that need nothing but a machine that is up. The others are
// counted when they do something.
var bitesAtOnce = map[string]bool{
	"crash": true, "crash-move": true, "power": true, "agent-kill": true, "stop": true, "pause": true, "freeze": true,
}

// ask has the user ask for something: a fault of sorts, once it is done.
func (s *sim) ask(f Fault, cmd fsm.Command) {
	answer := s.client.send(cmd)
	s.wg.Go(func() {
		select {
		case a := <-answer:
			if a.err == nil {
				s.bit(f.What)
			}
		case <-s.client.ctx.Done():
		}
	})
}

func drainCommand(id string, on bool) fsm.Command {
	return fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: id, On: on}}
}

// takeDown ends a machine's node; it comes back unless something brought it
// back before.
func (s *sim) takeDown(m *machine, how string) (undo func()) {
	switch how {
	case "stop":
		m.stop()
	case "power":
		m.power()
	case "agent-kill":
		m.killAgent()
	default:
		m.crash()
	}
	seq := m.seq
	return func() {
		if m.reap(); m.p != nil || m.seq != seq {
			return
		}
		if how == "crash-move" {
			m.move()
		}
		m.boot()
	}
}

// everyone takes all machines down at once.
func (s *sim) everyone(how string) (undo func()) {
	if len(s.up()) > 0 {
		s.bit(how)
	}
	for _, m := range s.machines {
		switch how {
		case "power-all":
			m.power()
		case "agent-kill-all":
			m.killAgent()
		default:
			m.crash()
		}
	}
	return func() {
		for _, m := range s.machines {
			if m.p == nil && how == "crash-all-move" {
				m.move()
			}
		}
		s.bootAll()
	}
}

// breakDisk makes a disk faulty. A process that this ends comes back on the mended one.
func (s *sim) breakDisk(m *machine, how string) (undo func()) {
	m.breakDisk(how)
	return func() {
		m.mendDisk()
		if m.reap(); m.p == nil {
			m.boot()
		}
	}
}

// wipe takes a machine and its disk, if the cluster is whole and can bear it.
func (s *sim) wipe(m *machine) (undo func()) {
	if len(s.machines) < 3 || !s.whole() {
		return nil
	}
	m.crash()
	m.wipe()
	s.bit("wipe")
	return func() {
		if m.reap(); m.p == nil {
			m.boot()
		}
	}
}

// kill ends the running life of a path, and those that follow it, one by one.
func (s *sim) kill(f Fault) (undo func()) {
	s.wg.Go(func() {
		for range f.Count {
			for range 40 { // until there is one
				if s.killOnce(f.Path) {
					s.bit(f.What)
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
		if m.procs.Kill(path, "SIGKILL") {
			found = true
		}
	}
	return found
}

// pauseWinner pauses whoever next wins an election, at the very moment, and has
// leadership handed over so that there is one.
func (s *sim) pauseWinner(length time.Duration) {
	s.mu.Lock()
	s.winner = min(length, 5*time.Second)
	s.mu.Unlock()
	s.flap("leader-flap for pause-winner", 1)
}

// flap hands leadership round, in quick succession, for a fault of a kind.
func (s *sim) flap(kind string, times int) {
	for range times {
		if l := s.leader(); l != nil {
			node := l.p.node
			s.wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if node.Transfer(ctx, "") == nil {
					s.bit(kind)
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
	}
}
