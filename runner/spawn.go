package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// life is one incarnation of a child, or one run of an exec probe. The fields
// below the line change under Runner.mu only.
type life struct {
	id    uint64
	key   string
	name  string
	onEnd func(Event) // of a probe: takes the last event, and there are no others

	// ---
	spec     *Spec // nil once nothing needs it any more
	forked   bool  // taken from the queue
	pid      int
	pidfd    int
	status   int // read end of a helper's status pipe, or -1
	start    uint64
	since    time.Time
	up       bool
	stopping bool
	reaped   bool
	failure  string      // why this end is a Failed
	unprobe  func()      // ends its probe, if it has one
	timer    *time.Timer // min_uptime, then grace, then the watch on a process that will not die
	grace    time.Duration
	minUp    time.Duration
	stopSig  syscall.Signal
	streams  []*stream
}

// spawnLoop forks all children. The kernel ties their death signal to the
// thread that forked them, so this goroutine keeps its thread until Run ends;
// the thread then ends too, and with it whatever still lives.
func (r *Runner) spawnLoop() {
	runtime.LockOSThread()
	// A umask of its own lets this thread set one for each child. Where a
	// sandbox forbids it, such children go through the helper.
	r.ownFS = unix.Unshare(unix.CLONE_FS) == nil
	for {
		select {
		case <-r.quit:
			return
		case <-r.wakeSpawner:
		}
		for p := r.dequeue(); p != nil; p = r.dequeue() {
			if err := r.spawn(p); err != nil {
				r.mu.Lock()
				p.failure = err.Error()
				r.finish(p, Event{})
				r.mu.Unlock()
			}
		}
	}
}

func (r *Runner) dequeue() *life {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 {
		p := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		if !p.stopping { // cancelled ones have ended already
			p.forked = true
			return p
		}
	}
	r.queue = nil
	return nil
}

// spawn starts p, or says why it cannot.
func (r *Runner) spawn(p *life) error {
	l, err := r.prepare(p.spec)
	if err != nil {
		return err
	}
	umask := p.spec.Umask
	helper := len(p.spec.Limits) > 0 || (umask != nil && !r.ownFS)
	if helper {
		if l, err = viaHelper(l, p.spec); err != nil {
			return err
		}
		umask = nil // the helper sets it
	}
	files := childFiles{r: r}
	defer files.close()
	if err := files.open(p, helper); err != nil {
		return fmt.Errorf("cannot start %q: %v", p.spec.Argv[0], err)
	}
	if umask != nil {
		defer unix.Umask(unix.Umask(*umask))
	}
	r.forking.Lock()
	defer r.forking.Unlock()
	pid, pidfd, err := forkExec(l, files.fds)
	if err != nil {
		return err
	}
	return r.register(p, pid, pidfd, &files)
}

func forkExec(l *launch, fds []uintptr) (pid, pidfd int, err error) {
	pidfd = -1
	pid, err = syscall.ForkExec(l.path, l.argv, &syscall.ProcAttr{
		Dir: l.dir, Env: l.env, Files: fds,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: l.cred, PidFD: &pidfd},
	})
	if err != nil {
		return 0, -1, explainExec(l, err)
	}
	if pidfd < 0 {
		discard(pid)
		return 0, -1, fmt.Errorf("cannot start %q: this kernel has no pidfd (Linux 5.4 is needed)", l.argv[0])
	}
	return pid, pidfd, nil
}

// discard kills and reaps a child that cannot be kept.
func discard(pid int) {
	unix.Kill(-pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// register makes the new process known to the reaper, the log pump and the
// file of lives, and does what was asked of p while it was being forked.
func (r *Runner) register(p *life, pid, pidfd int, files *childFiles) error {
	stat, err := readStat(pid)
	if err != nil { // a child of ours, not yet reaped: only /proc can be at fault
		r.log.Warn("cannot read start time of child", "key", p.key, "pid", pid, "err", err)
	}
	r.lives.born(pid, stat.start)
	sig, _ := parseSignal(p.spec.StopSignal) // prepare has checked it

	r.mu.Lock()
	defer r.mu.Unlock()
	p.pid, p.pidfd, p.start, p.since = pid, pidfd, stat.start, time.Now()
	p.grace, p.minUp = p.spec.Grace, p.spec.MinUptime
	if p.stopSig == 0 { // else Kill was called meanwhile
		p.stopSig = sig
	}
	if p.grace == 0 {
		p.grace = DefaultGrace
	}
	r.byID[p.id] = p
	if err := r.watch(p, files); err != nil {
		delete(r.byID, p.id)
		discard(pid)
		unix.Close(pidfd)
		r.lives.died(pid)
		p.pid, p.pidfd = 0, -1
		return fmt.Errorf("cannot start %q: cannot watch it: %v", p.spec.Argv[0], err)
	}
	if p.status < 0 {
		r.confirmExec(p)
	}
	if p.stopping {
		r.beginStop(p)
	}
	return nil
}

// watch hands the descriptors of p to those who read them.
func (r *Runner) watch(p *life, files *childFiles) error {
	if err := r.children.add(p.pidfd, p.id<<1); err != nil {
		return err
	}
	if files.status >= 0 {
		if err := r.children.add(files.status, p.id<<1|1); err != nil {
			return err
		}
		p.status, files.status = files.status, -1
	}
	p.streams, files.streams = files.streams, nil
	for _, s := range p.streams {
		if err := r.logs.watch(s); err != nil {
			r.log.Warn("cannot read output of child", "key", p.key, "err", err)
		}
	}
	return nil
}

// confirmExec reports that the program runs and waits for it to be up. Under mu.
func (r *Runner) confirmExec(p *life) {
	if p.onEnd != nil {
		p.spec = nil
		return
	}
	r.emit(p, Event{Kind: Spawned})
	switch {
	case p.stopping:
	case p.spec.Probe != nil && !r.closed:
		ctx, cancel := context.WithCancel(context.Background())
		spec := p.spec
		p.unprobe = cancel
		r.owners.Go(func() { r.probe(ctx, p, spec) })
	case p.minUp > 0:
		p.timer = time.AfterFunc(p.minUp, func() { r.confirmUp(p) })
	default:
		p.up = true
		r.emit(p, Event{Kind: Up})
	}
	p.spec = nil // 10,000 environments would be a lot to keep
}

// confirmUp reports that p is up, unless it is on its way out.
func (r *Runner) confirmUp(p *life) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.reaped || p.stopping || p.up || p.failure != "" {
		return
	}
	p.up = true
	r.emit(p, Event{Kind: Up})
}

// emit fills in what all events of p share. Under mu.
func (r *Runner) emit(p *life, e Event) {
	e.Key, e.PID, e.At = p.key, p.pid, time.Now()
	if p.onEnd != nil {
		p.onEnd(e)
		return
	}
	r.events.put(e)
}

// childFiles holds the descriptors around one fork: those the child gets, and
// those that stay with us.
type childFiles struct {
	r       *Runner
	fds     []uintptr // of the child, by number
	ours    []int     // ends to close after the fork in any case
	status  int       // read end, -1 once handed on or if there is none
	streams []*stream // nil once handed on
}

func (f *childFiles) open(p *life, helper bool) error {
	null := f.r.devNull.Fd()
	f.fds, f.status = []uintptr{null, null, null}, -1
	if p.onEnd == nil {
		for i, name := range streamNames {
			out, fd, err := f.pipe()
			if err != nil {
				return err
			}
			f.streams = append(f.streams, f.r.logs.newStream(p.name, name, out))
			f.fds[i+1] = uintptr(fd)
		}
	}
	if helper {
		in, fd, err := f.pipe()
		if err != nil {
			return err
		}
		f.status = in
		f.fds = append(f.fds, uintptr(fd))
	}
	return nil
}

// pipe returns our non-blocking read end and the child's write end.
func (f *childFiles) pipe() (in, out int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, fmt.Errorf("cannot create a pipe: %v", err)
	}
	f.ours = append(f.ours, p[1])
	if err := unix.SetNonblock(p[0], true); err != nil {
		unix.Close(p[0])
		return -1, -1, fmt.Errorf("cannot create a pipe: %v", err)
	}
	return p[0], p[1], nil
}

func (f *childFiles) close() {
	for _, fd := range f.ours {
		unix.Close(fd)
	}
	if f.status >= 0 {
		unix.Close(f.status)
	}
	for _, s := range f.streams {
		s.end()
	}
}
