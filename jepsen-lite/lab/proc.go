package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stat is what we use of /proc/PID/stat.
type stat struct {
	Proc
	parent int
	state  byte // R, S, D, T, Z, ...
}

// readStat reads the stat of a process; os.ErrNotExist if there is none.
func readStat(pid int) (stat, error) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, syscall.ESRCH) {
		err = os.ErrNotExist
	}
	if err != nil {
		return stat{}, err
	}
	return parseStat(pid, line)
}

func parseStat(pid int, line []byte) (stat, error) {
	// The program's name stands in parentheses and may hold anything.
	f := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(f) < 20 {
		return stat{}, fmt.Errorf("cannot read the stat of pid %d: %q", pid, line)
	}
	s := stat{Proc: Proc{PID: pid}, state: f[0][0]}
	var errs [2]error
	s.parent, errs[0] = strconv.Atoi(f[1])
	s.Start, errs[1] = strconv.ParseUint(f[19], 10, 64)
	return s, errors.Join(errs[:]...)
}

// procOf names the process that has a pid now.
func procOf(pid int) (Proc, error) {
	s, err := readStat(pid)
	if err == nil && s.state == 'Z' {
		err = os.ErrNotExist
	}
	return s.Proc, err
}

// State gives the state letter of a process (T is stopped), or an error if it
// has ended.
func State(p Proc) (byte, error) {
	s, err := readStat(p.PID)
	if err != nil || s.Start != p.Start || s.state == 'Z' || s.state == 'X' {
		return 0, fmt.Errorf("process %d has ended: %w", p.PID, os.ErrProcessDone)
	}
	return s.state, nil
}

// Signal sends a signal to this very process.
func Signal(p Proc, sig syscall.Signal) error {
	// The check and the signal are two steps; in between the pid would have to end,
	// be reaped and be given out anew, and pids go round in tens of thousands.
	if _, err := State(p); err != nil {
		return err
	}
	if err := syscall.Kill(p.PID, sig); err != nil {
		return fmt.Errorf("cannot send %v to pid %d: %w", sig, p.PID, err)
	}
	return nil
}

// Await polls a process until it is in one of the states, or has ended if states
// is empty.
func Await(p Proc, states string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		state, err := State(p)
		if states == "" && err != nil {
			return nil
		}
		if states != "" && err != nil {
			return err
		}
		if states != "" && strings.IndexByte(states, state) >= 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d is in state %c after %v, want one of %q", p.PID, state, limit, states)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// below lists the processes under a root, parents before their children.
func below(root int) ([]stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	children := make(map[int][]stat)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil && s.state != 'Z' && s.state != 'X' {
			children[s.parent] = append(children[s.parent], s)
		}
	}
	var found []stat
	for next := children[root]; len(next) > 0; next = next[1:] {
		found = append(found, next[0])
		next = append(next, children[next[0].PID]...)
	}
	return found, nil
}

// program is the file that a process runs, also if that has been replaced.
func program(pid int) string {
	exe, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return strings.TrimSuffix(exe, " (deleted)")
}

// commandLine is what a process was called with.
func commandLine(pid int) string {
	args, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return string(args)
}

// agentOf finds the agent of a keeper: the oldest child of it that runs the keeper's
// own program by another command line. One with the keeper's command line has not been
// executed yet: it is the keeper, in the middle of a fork, and whoever stops it or
// traces it holds up the keeper too. An error says that there is no agent now.
func agentOf(keeper Proc) (Proc, error) {
	all, err := below(keeper.PID)
	if err != nil {
		return Proc{}, err
	}
	own, called := program(keeper.PID), commandLine(keeper.PID)
	agent := Proc{}
	for _, s := range all {
		if s.parent != keeper.PID || program(s.PID) != own || commandLine(s.PID) == called {
			continue
		}
		if agent.PID == 0 || s.Start < agent.Start {
			agent = s.Proc
		}
	}
	if agent.PID == 0 {
		return Proc{}, fmt.Errorf("keeper %d has no agent now", keeper.PID)
	}
	return agent, nil
}

// childrenOf are the processes below a keeper but for what runs its own program: the
// agent, and what is still being forked. Those below the agent are children too, as
// far as the agent forks any.
func childrenOf(keeper Proc) ([]Proc, error) {
	all, err := below(keeper.PID)
	if err != nil {
		return nil, err
	}
	own := program(keeper.PID)
	var found []Proc
	for _, s := range all {
		if s.parent != keeper.PID || program(s.PID) != own {
			found = append(found, s.Proc)
		}
	}
	return found, nil
}

// freeze stops processes until a look at all of them finds none running: one
// that was being forked meanwhile is found by the next look.
func freeze(keeper Proc) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		all, err := below(keeper.PID)
		if err != nil {
			return err
		}
		root, err := readStat(keeper.PID)
		if err != nil {
			return err
		}
		running := 0
		for _, s := range append([]stat{root}, all...) {
			if s.state != 'T' && s.state != 't' {
				running++
				_ = syscall.Kill(s.PID, syscall.SIGSTOP) // it may have ended: the next look tells
			}
		}
		if running == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot freeze pid %d: %d processes still run", keeper.PID, running)
		}
		time.Sleep(time.Millisecond)
	}
}

// thaw lets all go on, from the root down.
func thaw(keeper Proc) error {
	if err := Signal(keeper, syscall.SIGCONT); err != nil {
		return err
	}
	all, err := below(keeper.PID)
	for _, s := range all {
		_ = syscall.Kill(s.PID, syscall.SIGCONT) // it may have been killed meanwhile
	}
	return err
}
