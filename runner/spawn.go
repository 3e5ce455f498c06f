package runner

import (
	"cmp"
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/wire"
	"github.com/selfware/selfware/supervisor/health"
)

// life is one incarnation of a child, or one run of an exec probe. The fields
// below the line change under Runner.mu only.
type life struct {
	id    uint64
	key   string
	name  string
	onEnd func(Event) // of a probe: takes the last event, and there are no others
	begun bool        // by an agent before this one

	// ---
	spec     *Spec   // nil once nothing needs it any more
	launch   *launch // until it is forked, to explain errors
	forked   bool    // taken from the queue
	pid      int     // 0 until the keeper has forked it
	status   int     // read end of a helper's status pipe, or -1
	start    uint64
	since    time.Time
	up       bool
	stopping bool
	reaped   bool
	failure  string // why this end is a Failed
	fenced   bool   // this end is the keeper's doing
	// exclusive lives end at the moment of Hold; overdue ones did by our hand.
	exclusive, overdue bool
	unprobe            func()              // ends its probe or liveness check, if one is asked
	probed             *Spec               // for those, as long as they are needed
	found              health.HealthStatus // by its liveness check, last
	unwell             health.HealthStatus // why it is being stopped, if that was not asked for
	notify             int                 // its NOTIFY_SOCKET, or -1
	ready, leaving     bool                // it has said so there
	says               string              // its status, as it said last
	word               word                // what it said last should follow from its end
	asked              bool                // it has asked to be moved
	startBy            time.Time           // until when it has put off the end of its start
	noticed            chan struct{}       // something of this has changed
	beat               *health.Heartbeat   // what it must say often; nil if it need not
	timer              *time.Timer         // min_uptime, then grace, then the watch on a process that will not die
	stopAt             time.Duration       // when its stop signal was sent, of BootTime
	grace              time.Duration
	minUp              time.Duration
	stopSig            syscall.Signal
	streams            []*stream
}

// spawnLoop prepares all starts, in order, and hands them to the keeper.
func (r *Runner) spawnLoop() {
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

// spawn asks the keeper to fork p, or says why it cannot be.
func (r *Runner) spawn(p *life) error {
	l, err := r.prepare(p.spec)
	if err != nil {
		return err
	}
	umask := -1
	if p.spec.Umask != nil {
		umask = *p.spec.Umask
	}
	helper := len(p.spec.Limits) > 0
	if helper {
		if l, err = r.viaHelper(l, p.spec); err != nil {
			return err
		}
		umask = -1 // the helper sets it
	}
	sig, _ := parseSignal(p.spec.StopSignal) // prepare has checked it
	files := childFiles{r: r}
	defer files.close()
	if err := files.open(p, helper); err != nil {
		return fmt.Errorf("cannot start %q: %v", p.spec.Argv[0], err)
	}
	if files.notify >= 0 {
		l.env = mergeEnv(l.env, notifyEnv(p.spec, files.notifyName))
	}
	m := &wire.Message{Op: wire.Spawn, Key: p.key, Exclusive: p.spec.Exclusive, FDs: files.theirs, Spec: &wire.Spec{
		Path: l.path, Dir: l.dir, Argv: l.argv, Env: l.env, Umask: umask, Cred: l.cred, Files: files.places, Keep: files.keep,
	}}
	files.theirs = nil // Send closes them
	r.mu.Lock()
	p.exclusive = p.spec.Exclusive
	p.grace, p.minUp, p.probed = cmp.Or(p.spec.Grace, DefaultGrace), p.spec.MinUptime, probeSpec(p.spec)
	p.launch, p.status, p.streams, p.notify = l, files.status, files.streams, files.notify
	p.noticed = make(chan struct{}, 1)
	if p.stopSig == 0 { // else Kill was called meanwhile
		p.stopSig = sig
	}
	if p.onEnd == nil {
		m.Note = p.note()
	}
	r.settle(p.key) // its name is needed again
	r.mu.Unlock()
	if err := r.keeper.conn.Send(m); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		p.status, p.streams, p.notify = -1, nil, -1
		return explainExec(l, err)
	}
	files.status, files.streams, files.notify = -1, nil, -1
	return nil
}

// onSpawned makes the new process known to the log pump, and does what was asked
// of p while it was being forked. Under mu.
func (r *Runner) onSpawned(p *life, m *wire.Message) {
	p.pid, p.start, p.since, p.launch, p.spec = m.PID, m.Start, time.Now(), nil, nil
	r.byID[p.id] = p
	r.watch(p)
	if p.status < 0 {
		r.confirmExec(p)
	}
	if p.stopping {
		r.beginStop(p)
	}
}

// onRefused ends p, which the keeper could not or would not fork. Under mu.
func (r *Runner) onRefused(p *life, m *wire.Message) {
	p.failure = explainExec(p.launch, syscall.Errno(m.Number)).Error()
	if p.fenced = m.Fenced; p.fenced {
		p.failure = fmt.Sprintf("cannot start %q: it is exclusive, and this node has no lease, or none any more", p.launch.argv[0])
	}
	r.closeStatus(p)
	for _, s := range p.streams {
		s.end()
	}
	p.streams = nil
	r.finish(p, Event{})
}

// watch hands the descriptors of p to those who read them. Under mu.
func (r *Runner) watch(p *life) {
	if p.status >= 0 {
		if err := r.helpers.add(p.status, p.id); err != nil {
			r.log.Warn("cannot hear how a child starts", "key", p.key, "err", err)
		}
	}
	if p.notify >= 0 {
		if err := r.notices.add(p.notify, p.id); err != nil {
			r.log.Warn("cannot hear what a child says", "key", p.key, "err", err)
		}
	}
	for _, s := range p.streams {
		if err := r.logs.watch(s); err != nil {
			r.log.Warn("cannot read output of child", "key", p.key, "err", err)
		}
	}
}

// confirmExec reports that the program runs and waits for it to be up. Under mu.
func (r *Runner) confirmExec(p *life) {
	if p.onEnd != nil {
		return
	}
	r.emit(p, Event{Kind: Spawned})
	if !p.stopping {
		r.awaitUp(p)
	}
}

// awaitUp waits for p to be up. Under mu.
func (r *Runner) awaitUp(p *life) {
	switch {
	case p.probed != nil && p.probed.Probe != nil && !r.closed:
		ctx, cancel := context.WithCancel(context.Background())
		spec := p.probed
		p.unprobe = cancel
		r.owners.Go(func() { r.probe(ctx, p, spec) })
	case p.minUp > 0:
		p.timer = time.AfterFunc(time.Until(p.since.Add(p.minUp)), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.confirmUp(p)
		})
	default:
		r.confirmUp(p)
	}
}

// confirmUp reports that p is up, unless it is on its way out. Under mu.
func (r *Runner) confirmUp(p *life) {
	if p.reaped || p.stopping || p.up || p.failure != "" {
		return
	}
	p.up, p.probed = true, afterStart(p.probed)
	if p.unprobe != nil {
		p.unprobe()
	}
	r.send(&wire.Message{Op: wire.Note, Key: p.key, Note: p.note()})
	r.emit(p, Event{Kind: Up})
	r.watchHealth(p)
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

// childFiles holds the descriptors around one fork: those that go to the keeper,
// for the child and to be kept, and those that stay with us.
type childFiles struct {
	r      *Runner
	theirs []int // nil once handed on
	places []int // the child's by number: indices of theirs, or -1 for /dev/null
	keep   int   // from here on, theirs are kept
	status int   // read end, -1 once handed on or if there is none
	notify int   // likewise: its NOTIFY_SOCKET
	// notifyName is what the child calls that.
	notifyName string
	streams    []*stream
}

func (f *childFiles) open(p *life, helper bool) error {
	f.places, f.status, f.notify = []int{-1, -1, -1}, -1, -1
	var ours []int // what the keeper gets a copy of
	if p.onEnd == nil {
		for i, name := range streamNames {
			out, err := f.pipe(i + 1)
			if err != nil {
				return err
			}
			f.streams = append(f.streams, f.r.logs.newStream(p.name, name, out))
			ours = append(ours, out)
		}
	}
	var err error
	if p.spec.speaks() {
		if f.notify, f.notifyName, err = listenNotices(); err != nil {
			return err
		}
		ours = append(ours, f.notify)
	}
	if helper {
		f.places = append(f.places, -1)
		if f.status, err = f.pipe(execStatusFD); err != nil {
			return err
		}
	}
	f.keep = len(f.theirs)
	for _, fd := range ours {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot copy a descriptor: %v", err)
		}
		f.theirs = append(f.theirs, copied)
	}
	return nil
}

// pipe gives the child the write end as its descriptor fd, and returns our
// non-blocking read end.
func (f *childFiles) pipe(fd int) (in int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("cannot create a pipe: %v", err)
	}
	f.places[fd] = len(f.theirs)
	f.theirs = append(f.theirs, p[1])
	if err := unix.SetNonblock(p[0], true); err != nil {
		unix.Close(p[0])
		return -1, fmt.Errorf("cannot create a pipe: %v", err)
	}
	return p[0], nil
}

func (f *childFiles) close() {
	closeAll(f.theirs)
	for _, fd := range []int{f.status, f.notify} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, s := range f.streams {
		s.end()
	}
}
