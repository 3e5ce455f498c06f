package keeper

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/keeper/wire"
)

// What a keeper has at most. Notes and descriptors of lives are bounded by wire.
const (
	maxLives  = 32_768
	maxNotes  = 64 << 20 // bytes of all notes together
	maxStored = 64
	maxSaid   = 4 << 10 // bytes of an agent's last word
)

// life is one child, from its fork until an agent forgets it.
type life struct {
	key       string
	pid       int
	start     uint64
	born      time.Duration // of wire.BootTime
	exclusive bool
	note      []byte
	kept      []int  // descriptors
	group     string // cgroup, "" = none

	ended  bool
	fenced bool // its time was over, so it was killed
	status unix.WaitStatus
}

// lives is all that the keeper's threads share. Nothing that can wait for a disk
// or for another process is done under mu: killing must not wait for it.
type lives struct {
	timer int // timerfd, of CLOCK_BOOTTIME

	mu     sync.Mutex
	byKey  map[string]*life
	byPID  map[int]*life // those that have not ended
	notes  int           // bytes
	stored map[string]int
	until  time.Duration // of Hold; 0 = never said
	unborn unborn
	died   []*life    // ended, and not recorded as such
	link   *wire.Conn // nil without an agent
	agent  int        // its pid; 0 = none
	over   *unix.WaitStatus
	ran    bool   // the agent has said Running
	ever   bool   // some agent has
	said   string // the agent's last word
}

func newLives() (*lives, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC)
	return &lives{
		timer: fd, byKey: make(map[string]*life), byPID: make(map[int]*life), stored: make(map[string]int),
	}, err
}

// lock takes mu. Whoever takes it was perhaps asleep, the whole process even: what
// is overdue by now is killed before anything else.
func (l *lives) lock() {
	l.mu.Lock()
	if l.until != 0 && wire.BootTime() >= l.until {
		l.fence()
	}
}

// fence kills all exclusive lives, the groups of all before the cgroup of any: the
// former is the faster. Under mu.
func (l *lives) fence() {
	if bug.On("keeper-ignores-deadline") {
		return
	}
	var now []*life
	for _, c := range l.byPID {
		if c.exclusive && !c.fenced {
			c.fenced = true
			unix.Kill(-c.pid, unix.SIGKILL)
			now = append(now, c)
		}
	}
	for _, c := range now {
		killCgroup(c.group)
	}
	if l.unborn.expected && !l.killUnborn() {
		l.alarm(wire.BootTime() + unbornStep)
	}
}

// mayRun tells whether an exclusive life may. Under mu.
func (l *lives) mayRun() bool {
	return l.until != 0 && wire.BootTime() < l.until || bug.On("keeper-starts-expired")
}

// hold takes a new deadline, be it later or earlier. Under mu.
func (l *lives) hold(until time.Duration) {
	l.until = max(until, 1)
	if err := l.alarm(l.until); err != nil || wire.BootTime() >= l.until {
		l.fence() // without a timer nothing exclusive may go on
	}
}

// alarm has watch look at a moment. Under mu.
func (l *lives) alarm(moment time.Duration) error {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(moment))}
	return unix.TimerfdSettime(l.timer, unix.TFD_TIMER_ABSTIME, &at, nil)
}

// watch sleeps until the deadline, again and again, and kills. It has a thread of
// its own, which goes before others where that is allowed.
func (l *lives) watch() {
	runtime.LockOSThread()
	unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)
	var b [8]byte
	for {
		if _, err := unix.Read(l.timer, b[:]); err != nil && err != unix.EINTR {
			return // closed
		}
		l.lock()
		l.mu.Unlock()
	}
}

// kill ends c with all that is in its process group and cgroup. Under mu, and
// before c is waited for: until then its pid cannot belong to another.
func (c *life) kill() {
	unix.Kill(-c.pid, unix.SIGKILL)
	killCgroup(c.group)
}

// add enters a new life. Under mu.
func (l *lives) add(c *life) {
	l.byKey[c.key], l.byPID[c.pid] = c, c
	l.notes += len(c.note)
}

// annotate replaces a note. Under mu.
func (l *lives) annotate(c *life, note []byte) {
	if l.notes-len(c.note)+len(note) > maxNotes {
		return // it goes on with what it had
	}
	l.notes += len(note) - len(c.note)
	c.note = note
}

// forget drops a life that has ended. Under mu.
func (l *lives) forget(c *life) {
	if !c.ended {
		return
	}
	delete(l.byKey, c.key)
	l.notes -= len(c.note)
	closeAll(c.kept)
	c.kept = nil
}

// store keeps a descriptor. Under mu.
func (l *lives) store(name string, fds []int) {
	if old, ok := l.stored[name]; ok {
		unix.Close(old)
		delete(l.stored, name)
	}
	if len(fds) != 1 || len(l.stored) >= maxStored {
		closeAll(fds)
		return
	}
	l.stored[name] = fds[0]
}

// tell sends the agent a message, if there is an agent. Under mu, so that what is
// said of a life comes in order.
func (l *lives) tell(m *wire.Message) {
	if l.link != nil {
		_ = l.link.Send(m) // a peer that takes nothing is cut off, and dies
	}
}

// tellAll is the answer to Attach: everything, with descriptors that remain the
// keeper's. They are closed only once the agent has forgotten the life. Under mu.
func (l *lives) tellAll(marker string) {
	l.tell(&wire.Message{Op: wire.Welcome, PID: unix.Getpid(), Key: marker})
	for _, c := range l.byKey {
		l.tell(&wire.Message{
			Op: wire.Life, Key: c.key, PID: c.pid, Start: c.start, Number: int64(c.born),
			Exclusive: c.exclusive, Note: c.note, FDs: c.kept, Lent: true,
		})
		if c.ended {
			l.tell(c.exit())
		}
	}
	for name, fd := range l.stored {
		l.tell(&wire.Message{Op: wire.Stored, Key: name, FDs: []int{fd}, Lent: true})
	}
	l.tell(&wire.Message{Op: wire.Attached})
}

func (c *life) exit() *wire.Message {
	return &wire.Message{Op: wire.Exited, Key: c.key, PID: c.pid, Number: int64(c.status), Fenced: c.fenced}
}

// takeDied gives those that ended since the last call.
func (l *lives) takeDied() []*life {
	l.lock()
	defer l.mu.Unlock()
	died := l.died
	l.died = nil
	return died
}

// signalAll signals every group that is left, and tells how many there are.
func (l *lives) signalAll(sig unix.Signal) int {
	l.lock()
	defer l.mu.Unlock()
	for _, c := range l.byPID {
		if sig == unix.SIGKILL {
			c.kill()
		} else {
			unix.Kill(-c.pid, sig)
		}
	}
	return len(l.byPID)
}

// signalAgent signals the agent, and tells whether there is one.
func (l *lives) signalAgent(sig unix.Signal) bool {
	l.lock()
	defer l.mu.Unlock()
	return l.agent != 0 && unix.Kill(l.agent, sig) == nil
}

// isMourned tells whether an agent has ended of which tend does not know yet.
func (l *lives) isMourned() bool {
	l.lock()
	defer l.mu.Unlock()
	return l.over != nil
}

// isEmpty tells whether no life is left, be it ended or not.
func (l *lives) isEmpty() bool {
	l.lock()
	defer l.mu.Unlock()
	return len(l.byKey) == 0
}

func closeAll(fds []int) {
	for _, fd := range slices.Clone(fds) {
		unix.Close(fd)
	}
}
