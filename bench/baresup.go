package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// superConfig makes a bare supervisor.
type superConfig struct {
	Argv   []string // of a child, its name is added
	Prefix string   // of the names
	// Hosts of the bare cluster: each start is committed there first, each restart
	// afterwards too. Empty is for a supervisor that commits nothing.
	Hosts []string
	// Loop uses os/exec and a goroutine for each child, and commits nothing: the
	// loop that any Go program would write first.
	Loop bool
}

// bareSuper is the least that can be called a supervisor: it forks, waits for
// any child to end, and forks again.
type bareSuper struct {
	cfg    superConfig
	commit *bareClient

	mu       sync.Mutex
	names    map[int]string // by pid
	stopping bool
	idle     chan struct{} // poked when the last child has ended
	work     chan struct{} // poked when there are children to wait for
}

// beBareSuper serves commands of its stdin, "start N" and "stop", each answered
// by "ok". Its children die with it.
func beBareSuper(cfg superConfig) error {
	s := &bareSuper{cfg: cfg, names: make(map[int]string), idle: make(chan struct{}, 1), work: make(chan struct{}, 1)}
	if len(cfg.Hosts) > 0 {
		s.commit = newBareClient(cfg.Hosts)
	}
	// The death signal is tied to the thread that forks.
	runtime.LockOSThread()
	if !cfg.Loop {
		go s.reap() // ends with the process
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		if _, err := fmt.Sscanf(in.Text(), "start %d", &n); err != nil {
			s.stop()
		} else if err := s.start(n); err != nil {
			return err
		}
		fmt.Println("ok")
	}
	return nil
}

func (s *bareSuper) start(n int) error {
	s.mu.Lock()
	s.stopping = false
	s.mu.Unlock()
	if err := s.decide(); err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("%s%d", s.cfg.Prefix, i)
		if s.cfg.Loop {
			go s.keep(name) // ends with the process
		} else if err := s.fork(name); err != nil {
			return err
		}
	}
	return nil
}

// keep starts a child and waits for it, for ever.
func (s *bareSuper) keep(name string) {
	runtime.LockOSThread()
	for {
		cmd := exec.Command(s.cfg.Argv[0], append(s.cfg.Argv[1:len(s.cfg.Argv):len(s.cfg.Argv)], name)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if cmd.Start() != nil {
			return // a child that is missing ends the row
		}
		_ = cmd.Wait() // it was killed
	}
}

// decide makes the decision to start durable, if that is asked for.
func (s *bareSuper) decide() error {
	if s.commit == nil {
		return nil
	}
	return s.commit.writeLeader()
}

func (s *bareSuper) fork(name string) error {
	argv := append(s.cfg.Argv[:len(s.cfg.Argv):len(s.cfg.Argv)], name)
	s.mu.Lock() // so that reap knows the child before it can end
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 2, 2},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", strings.Join(argv, " "), err)
	}
	s.names[pid] = name
	poke(s.work)
	return nil
}

func (s *bareSuper) reap() {
	runtime.LockOSThread()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.ECHILD):
			<-s.work
			continue
		case err != nil:
			continue
		}
		s.mu.Lock()
		name, again := s.names[pid], !s.stopping
		delete(s.names, pid)
		if len(s.names) == 0 && s.stopping {
			poke(s.idle)
		}
		s.mu.Unlock()
		if again {
			s.again(name)
		}
	}
}

func (s *bareSuper) again(name string) {
	err := s.decide()
	if err == nil {
		err = s.fork(name)
	}
	if err == nil {
		err = s.decide() // that it runs, as ours does; nobody waits for it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // the child that is missing ends the row
	}
}

func (s *bareSuper) stop() {
	s.mu.Lock()
	s.stopping = true
	n := len(s.names)
	for pid := range s.names {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.mu.Unlock()
	if n > 0 {
		<-s.idle
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
