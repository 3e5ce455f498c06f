package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

const (
	// agentKey names the descriptor of the connection in the agent's environment.
	agentKey = "SELFWARE_KEEPER_FD"
	// A dead agent is started again after a pause that doubles; it begins anew
	// after one that ran for calm.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	calm       = 10 * time.Second
	// quitTime is what an agent gets to end in peace, with its children, once it is
	// asked to; stopTime what children get when there is no agent to stop them.
	quitTime = 20 * time.Second
	stopTime = 8 * time.Second
	// killTime bounds the wait for what was killed.
	killTime = 5 * time.Second
)

// Config says what to keep.
type Config struct {
	// Dir is the data dir of the node; run/ below it is used. Required.
	Dir string
	// Agent is the command line of the agent, which is this same binary. Empty: Conns
	// are the connections of agents that belong to somebody else (tests), served one
	// after the other; the node ends with the last.
	Agent []string
	Conns []int
	// Version is what people call this binary.
	Version string
	// Words are given to the binary of an upgrade, to make a Config of.
	Words []string
	// GroupsOnly uses process groups alone, as where there is no cgroup v2 tree.
	GroupsOnly bool
	// BootID names this boot of the machine; "" = what the kernel says.
	BootID string
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Validate returns the first fault of c.
func (c *Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("cannot use keeper config: Dir is empty")
	case len(c.Agent) == 0 && len(c.Conns) == 0:
		return errors.New("cannot use keeper config: there is no agent")
	}
	return nil
}

func (c *Config) run(name string) string { return filepath.Join(c.Dir, "run", name) }

// Keeper holds the processes of a node. What is below the line belongs to the
// main thread.
type Keeper struct {
	cfg     Config
	log     *slog.Logger
	lives   *lives
	wake    chan struct{} // something for the main thread
	forked  chan struct{} // something for the reaper
	threads sync.WaitGroup
	// forking is held from fork until the child is known, so that the reaper does
	// not take it for an orphan.
	forking sync.Mutex
	// burying is held while a status is taken, and while it is handed to another
	// binary which have been.
	burying  sync.Mutex
	work     []*wire.Message // under lives.mu
	requests chan *request

	// ---
	swept  bool // what an earlier keeper left is killed
	record *leftover.Record
	groups *cgroups
	null   *os.File

	started time.Time // of the agent
	tries   int
	due     *time.Timer // for the next agent, or for the end of patience
	ending  bool
	upgrade *request
	heap    heap
}

// Run keeps the processes of a node until it has ended in peace, or ctx ends,
// which is a request for that. It returns the exit code of the node. It must be
// called by the main goroutine, locked to the main thread by an init function: the
// death signal of the children, and an upgrade, hang on that thread.
func Run(ctx context.Context, c Config) (code int, err error) {
	if err := c.Validate(); err != nil {
		return 1, err
	}
	if unix.Gettid() != unix.Getpid() {
		return 1, errors.New("cannot run a keeper: this is not the main thread")
	}
	k, err := open(c)
	if err != nil {
		return 1, err
	}
	return k.run(ctx), nil
}

// Connection tells whether this process is an agent that a keeper has started, and
// gives the descriptor of its connection, once.
func Connection() (fd int, ok bool) {
	fd, err := strconv.Atoi(os.Getenv(agentKey))
	os.Unsetenv(agentKey)
	if err != nil {
		return -1, false
	}
	unix.CloseOnExec(fd)
	return fd, true
}

func open(c Config) (*Keeper, error) {
	k := &Keeper{
		cfg: c, log: c.Logger, wake: make(chan struct{}, 1), forked: make(chan struct{}, 1),
		requests: make(chan *request), due: time.NewTimer(0),
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if k.lives, err = newLives(); err != nil {
		return nil, fmt.Errorf("cannot make a timer: %v", err)
	}
	if k.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, fmt.Errorf("cannot open %s: %v", os.DevNull, err)
	}
	if err := os.MkdirAll(c.run(""), 0o750); err != nil {
		return nil, fmt.Errorf("cannot create the run folder: %v", err)
	}
	if inherited != nil {
		k.inherit(inherited)
		return k, nil
	}
	if k.record, err = leftover.Open(c.run(""), c.BootID, k.log); err != nil {
		return nil, err
	}
	k.groups = new(cgroups)
	if !c.GroupsOnly {
		k.groups = openCgroups(k.record.Head().Token)
	}
	k.record.Use(k.groups.base)
	return k, nil
}

// run is the main thread.
func (k *Keeper) run(ctx context.Context) int {
	k.heap.own()
	k.threads.Go(k.reapAll)
	k.threads.Go(k.lives.watch)
	k.note("keeper.pid", os.Getpid())
	if len(k.cfg.Agent) > 0 {
		k.openDoor()
	}
	asked := ctx.Done()
	look := time.NewTicker(heapAge)
	defer look.Stop()
	for {
		k.doWork()
		k.heap.collect()
		if code, over := k.tend(); over {
			k.finish()
			return code
		}
		select {
		case <-k.wake:
		case <-look.C:
		case <-k.due.C:
			k.onTime()
		case r := <-k.requests:
			k.begin(r)
		case <-asked:
			asked = nil
			k.quit()
		}
	}
}

// doWork records what has ended, then forks what was asked for.
func (k *Keeper) doWork() {
	died := k.lives.takeDied()
	for _, c := range died {
		k.record.Died(c.pid)
	}
	k.lives.lock()
	work := k.work
	k.work = nil
	k.lives.mu.Unlock()
	for _, m := range work {
		if m.Op == wire.Sweep {
			k.sweep()
		} else {
			k.fork(m)
		}
	}
	for _, c := range died { // after the forks: somebody waits for those
		k.groups.give(c.group)
	}
	k.groups.tidy()
	k.groups.prepare()
}

// sweep kills leftovers, once. The agent asks for it when it has the ports of the
// node: until then a data dir may be the copy of one whose children live.
func (k *Keeper) sweep() {
	killed := 0
	if !k.swept {
		var err error
		if killed, err = k.record.Sweep(); err != nil {
			k.log.Error("cannot begin the record of lives", "err", err)
		}
		k.swept = true
	}
	k.lives.lock()
	defer k.lives.mu.Unlock()
	k.lives.tell(&wire.Message{Op: wire.Swept, Number: int64(killed)})
}

// Over is the exit code of an agent that must not be started again, and whose
// children must not stay: its data dir cannot be trusted any more.
const Over = 44

// tend looks after the agent. over: the node has ended, with that code.
func (k *Keeper) tend() (code int, over bool) {
	k.lives.lock()
	status, ran, ever := k.lives.over, k.lives.ran, k.lives.ever
	linked := k.lives.link != nil
	alive := k.lives.agent != 0 || linked
	if linked {
		status = nil // it has not been heard to the end
	} else {
		k.lives.over = nil
	}
	k.lives.mu.Unlock()
	if len(k.cfg.Agent) == 0 {
		if linked {
			return 0, false
		}
		return 0, !k.serveNext()
	}
	if ran {
		k.runs()
	}
	if status == nil {
		return 0, k.ending && !alive && k.lives.signalAll(0) == 0
	}
	code = codeOf(*status)
	switch {
	case k.upgrade != nil && k.upgrade.ready && !k.ending:
		k.execute()
		k.due.Reset(0) // it is still this binary
	case k.onTrial() && code != Over && (code != 0 || !ran):
		k.goBack(k.why(*status))
		k.again(*status) // it is still this binary
	case k.ending && status.Signaled() && status.Signal() == unix.SIGTERM:
		return 0, true // it was asked before it could listen
	case k.ending, code == 0, code == Over:
		return code, true
	case !ever && k.lives.isEmpty():
		return code, true // what is wrong was wrong from the beginning
	default:
		k.again(*status)
	}
	return 0, false
}

// again has a dead agent started anew after a pause.
func (k *Keeper) again(status unix.WaitStatus) {
	if time.Since(k.started) > calm {
		k.tries = 0
	}
	pause := min(firstPause<<min(k.tries, 10), lastPause)
	k.tries++
	k.due.Reset(pause)
	k.upgraded(errors.New("the agent " + k.why(status)))
	k.log.Error("the agent has ended; its children stay", "how", howOf(status), "next", pause)
}

func howOf(s unix.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit code %d", s.ExitStatus())
}

func codeOf(s unix.WaitStatus) int {
	if s.Signaled() {
		return 1
	}
	return s.ExitStatus()
}

// onTime starts an agent, or looks at one whose time to end in peace, or to begin, is
// over.
func (k *Keeper) onTime() {
	alive := k.lives.signalAgent(0)
	switch {
	case k.lives.isMourned(): // what is next is said once tend knows how it ended
	case alive && (k.ending || k.upgrade != nil && k.upgrade.ready):
		k.log.Warn("the agent does not end in time; killing it")
		k.lives.signalAgent(unix.SIGKILL)
	case k.ending:
		k.lives.signalAll(unix.SIGKILL)
	case alive && k.upgrade != nil:
		k.judge()
	case !alive && len(k.cfg.Agent) > 0:
		k.startAgent()
	}
}

func (k *Keeper) startAgent() {
	k.started = time.Now()
	err := k.forkAgent()
	if err != nil {
		k.log.Error("cannot start the agent", "err", err)
		k.due.Reset(lastPause)
	} else if k.upgrade != nil {
		k.due.Reset(trialTime)
	}
	if err != nil && k.onTrial() {
		k.goBack(fmt.Sprintf("cannot be started: %v", err))
	}
}

// quit ends the node in peace: the agent does it, or, if there is none, signals.
func (k *Keeper) quit() {
	k.ending = true
	if k.lives.signalAgent(unix.SIGTERM) {
		k.due.Reset(quitTime)
		return
	}
	k.lives.signalAll(unix.SIGTERM)
	k.due.Reset(stopTime)
}

// finish kills what is left and gives everything back.
func (k *Keeper) finish() {
	for deadline := time.Now().Add(killTime); k.lives.signalAll(unix.SIGKILL) > 0 && time.Now().Before(deadline); {
		select {
		case <-k.wake:
		case <-time.After(10 * time.Millisecond):
		}
		k.doWork()
	}
	k.doWork()
	k.upgraded(errors.New("the node has ended"))
	k.groups.remove()
	k.record.Close()
}
