package keeper

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

// fork does what a Spawn asks for, or says why it cannot. Only the main thread
// forks: the kernel ties the death signal of a child to the thread that forked it.
func (k *Keeper) fork(m *wire.Message) {
	refused := k.refuse(m)
	if refused == 0 {
		refused = k.spawn(m)
	}
	if refused != 0 {
		closeAll(m.FDs)
		k.lives.lock()
		defer k.lives.mu.Unlock()
		k.lives.expect(false)
		k.lives.tell(&wire.Message{Op: wire.Failed, Key: m.Key, Number: int64(refused), Fenced: refused == unix.EKEYEXPIRED})
	}
}

// refuse says why a life cannot begin, whatever its program.
func (k *Keeper) refuse(m *wire.Message) syscall.Errno {
	k.lives.lock()
	defer k.lives.mu.Unlock()
	switch {
	case !k.swept || !m.Short && !m.Check():
		return unix.EINVAL
	case m.Short:
		return unix.EMFILE
	case k.lives.byKey[m.Key] != nil:
		return unix.EEXIST
	case len(k.lives.byKey) >= maxLives || k.lives.notes+len(m.Note) > maxNotes:
		return unix.EAGAIN
	case m.Exclusive && !k.lives.mayRun():
		return unix.EKEYEXPIRED
	}
	k.lives.expect(m.Exclusive)
	return 0
}

// late tells whether the moment of the life that is being forked has come.
func (k *Keeper) late() bool {
	k.lives.lock()
	defer k.lives.mu.Unlock()
	return k.lives.unborn.doomed
}

func (k *Keeper) spawn(m *wire.Message) syscall.Errno {
	s := m.Spec
	files := make([]uintptr, len(s.Files))
	for i, at := range s.Files {
		files[i] = k.null.Fd()
		if at >= 0 {
			files[i] = uintptr(m.FDs[at])
		}
	}
	group, dir := k.groups.take()
	attr := syscall.ProcAttr{Dir: s.Dir, Env: s.Env, Files: files, Sys: &syscall.SysProcAttr{
		Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: s.Cred, UseCgroupFD: dir >= 0, CgroupFD: dir,
	}}
	k.forking.Lock()
	defer k.forking.Unlock()
	pid, err := forkExec(s, &attr)
	if dir >= 0 {
		unix.Close(dir)
	}
	if err != nil && dir >= 0 { // a sandbox without clone3, perhaps
		k.groups.give(group)
		if k.late() {
			return unix.EKEYEXPIRED
		}
		attr.Sys.UseCgroupFD, group = false, ""
		pid, err = forkExec(s, &attr)
	}
	poke(k.forked)
	if err != nil {
		var no syscall.Errno
		errors.As(err, &no)
		return max(no, 1)
	}
	k.register(m, pid, group)
	return 0
}

func forkExec(s *wire.Spec, attr *syscall.ProcAttr) (pid int, err error) {
	if s.Umask >= 0 {
		defer unix.Umask(unix.Umask(s.Umask)) // meanwhile, no other thread creates files
	}
	return syscall.ForkExec(s.Path, s.Argv, attr)
}

// register makes a new process known: to the reaper, to the agent and to the record.
func (k *Keeper) register(m *wire.Message, pid int, group string) {
	stat, _ := leftover.ReadStat(pid) // without /proc, start is 0 and its record of no use
	c := &life{
		key: m.Key, pid: pid, start: stat.Start, born: wire.BootTime(), exclusive: m.Exclusive,
		note: m.Note, kept: m.FDs[m.Spec.Keep:], group: group,
	}
	closeAll(m.FDs[:m.Spec.Keep])
	k.lives.lock()
	k.lives.add(c)
	if c.exclusive && (k.lives.unborn.doomed || !k.lives.mayRun()) { // its time ended while it was being forked
		c.fenced = true
		c.kill()
	}
	k.lives.expect(false)
	k.lives.tell(&wire.Message{Op: wire.Spawned, Key: c.key, PID: pid, Start: c.start})
	k.lives.mu.Unlock()
	k.record.Born(pid, stat.Start)
}

// forkAgent starts an agent, connected by a socket pair, and serves it.
func (k *Keeper) forkAgent() error {
	ours, theirs, err := wire.Pair()
	if err != nil {
		return err
	}
	defer unix.Close(theirs)
	argv := k.cfg.Agent
	attr := syscall.ProcAttr{
		// The next descriptor after those that everybody has.
		Files: []uintptr{0, 1, 2, uintptr(theirs)}, Env: append(os.Environ(), agentKey+"=3"),
		// A group of its own: Ctrl-C in the terminal is for the keeper, which passes it on.
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	k.forking.Lock()
	defer k.forking.Unlock()
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &attr)
	if err != nil {
		unix.Close(ours)
		return err
	}
	poke(k.forked)
	k.lives.lock()
	k.lives.agent, k.lives.over, k.lives.ran, k.lives.said = pid, nil, false, ""
	k.lives.mu.Unlock()
	k.serve(ours)
	k.note("agent.pid", pid)
	return nil
}

// note writes a pid into a file of the run folder, for people and tests.
func (k *Keeper) note(name string, pid int) {
	path := k.cfg.run(name)
	err := os.WriteFile(path+".new", []byte(strconv.Itoa(pid)+"\n"), 0o644)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		k.log.Warn("cannot note a pid", "file", path, "err", err)
	}
}
