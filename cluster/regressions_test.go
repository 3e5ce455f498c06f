package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// TestRegressions are faults that other systems had, by the names they are known
// under; each function says what must not happen here.
func TestRegressions(t *testing.T) {
	t.Run("nomad26974-giant-log-entry", giantLogEntry)
}

// giantLogEntry: a tree of the largest size is placed, started and deleted. No entry
// of the log is larger than the limit, none takes so long to apply that heartbeats
// would be late, and another request shares the next entry however many wait.
func giantLogEntry(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 children")
	}
	size := supervisor.MaxChildren - 1
	m, index := fsm.New(), uint64(0)
	l := &leader{n: &Node{cfg: Config{Clock: func() time.Duration { return 0 }}}, began: time.Now(), commits: make(chan []byte, 1), idle: true}
	largest, slowest := 0, time.Duration(0)
	flush := func() {
		t.Helper()
		for len(l.waiting) > 0 {
			data, err := l.pack()
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, len(data))
			index++
			began := time.Now()
			results, err := m.Apply(index, data)
			if err != nil {
				t.Fatal(err)
			}
			if index > 3 { // but for the tree itself, which is as long as its file
				slowest = max(slowest, time.Since(began))
			}
			m.TakeChanged()
			l.answer(outcome{results: results})
		}
	}
	ids := make([]string, size)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "c"}}})
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: link.Node{ID: "n1", Name: "n1", Boot: "b", BootSeq: 1}}}})
	flush()
	spec := shopOf(ids...)
	data, err := (fsm.Entry{Commands: []fsm.Command{{Type: fsm.TypeApplyTree, Tree: spec}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the tree itself has %d bytes", len(data))
	if len(data) > maxEntry { // refused by Submit: as large as fits, then
		spec.Children = spec.Children[:len(spec.Children)*maxEntry/len(data)-1]
	}
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeApplyTree, Tree: spec}})
	flush()
	lives := place(t, m, l, flush)
	events(l, lives, supervisor.EventStarted)
	flush()
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeDeleteTree, Name: "shop"}})
	shared := false
	events(l, lives, supervisor.EventExited) // all stop at once
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "n1", On: true}}, then: func(fsm.Result, error) { shared = true }})
	flush()
	m.View(func(v fsm.View) {
		if v.Tree("shop") != nil || !shared {
			t.Error("the tree is not gone, or a request was lost behind it")
		}
	})
	t.Logf("%d children: the largest of %d entries has %d bytes, the slowest took %v", len(lives), index, largest, slowest)
	if largest > maxEntry || len(lives) < 20_000 {
		t.Errorf("an entry of %d bytes, %d children", largest, len(lives))
	}
}

// place gives every child its node, as the leader would.
func place(t *testing.T, m *fsm.Machine, l *leader, flush func()) (lives []supervisor.Ref) {
	t.Helper()
	for {
		var reqs []supervisor.Request
		m.View(func(v fsm.View) { reqs = v.Pending(supervisor.MaxChildren) })
		if len(reqs) == 0 {
			return lives
		}
		for len(reqs) > 0 {
			n := min(len(reqs), maxAssigns)
			cmd := fsm.Command{Type: fsm.TypeAssign}
			for _, r := range reqs[:n] {
				cmd.Assign = append(cmd.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n1"})
				lives = append(lives, r.Ref)
			}
			l.propose(&proposal{cmd: cmd})
			reqs = reqs[n:]
		}
		flush()
	}
}

// events proposes what an agent would say of all lives, as many in a message as may
// be.
func events(l *leader, lives []supervisor.Ref, typ supervisor.EventType) {
	for len(lives) > 0 {
		n := min(len(lives), link.MaxEvents)
		cmd := fsm.Command{Type: fsm.TypeEvents}
		for _, r := range lives[:n] {
			cmd.Events = append(cmd.Events, supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: typ})
		}
		l.propose(&proposal{cmd: cmd})
		lives = lives[n:]
	}
}

// TestHandOverHangs: a leader whose disk hangs is told to end. Its loop, once the disk
// goes on, sees both that it is to hand over and that it is to shut down, and takes the
// one or the other; raft then never answers the hand-over (raft#696). Run returned only
// by chance.
func TestHandOverHangs(t *testing.T) {
	for range 8 {
		inLab(t, func(l *lab) {
			n := l.whole()
			gate := make(chan struct{})
			l.disks[n.cfg.Self.ID].OnWrite(func(string) error { <-gate; return nil })
			n.raft.Barrier(0)
			synctest.Wait() // it is being written
			time.AfterFunc(2*n.times.Election, func() { close(gate) })
			late := time.AfterFunc(time.Minute, func() { panic("Run has not returned a minute after its context ended") })
			l.ends[n.cfg.Self.ID]()
			late.Stop()
		})
	}
}

// TestCatchUpDuringTransfer: a leader that is asked to hand over before it has caught up
// is refused its barrier at once, for as long as the transfer lasts. It asked again
// without a pause, and filled the log.
func TestCatchUpDuringTransfer(t *testing.T) {
	inLab(t, func(l *lab) {
		ctx, cancel := context.WithCancel(l.t.Context())
		defer cancel()
		tries := refusals{Handler: slog.DiscardHandler, limit: 1000, over: cancel}
		l.config = func(c *Config) { c.Logger = slog.New(&tries) }
		n := l.whole()
		l.net.Partition([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})
		n.raft.LeadershipTransfer()
		synctest.Wait() // it is under way
		(&leader{n: n, ctx: ctx, log: n.raft}).catchUp()
		if tries.seen == 0 || tries.seen > 100 {
			t.Errorf("it tried %d times", tries.seen)
		}
	})
}

// refusals counts what a leader says while it cannot catch up.
type refusals struct {
	slog.Handler
	seen, limit int
	over        func()
}

func (r *refusals) Enabled(context.Context, slog.Level) bool { return true }
func (r *refusals) WithAttrs([]slog.Attr) slog.Handler       { return r }

func (r *refusals) Handle(_ context.Context, rec slog.Record) error {
	if strings.HasPrefix(rec.Message, "cannot catch up") {
		if r.seen++; r.seen >= r.limit {
			r.over()
		}
	}
	return nil
}

// TestVerifyHangs: as TestHandOverHangs, of a leader that was asked to verify that it
// leads while its disk hung.
func TestVerifyHangs(t *testing.T) {
	for range 8 {
		inLab(t, func(l *lab) {
			n := l.leader()
			gate := make(chan struct{})
			l.disks["n1"].OnWrite(func(string) error { <-gate; return nil })
			n.raft.Barrier(0)
			synctest.Wait() // it is being written
			ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
			defer cancel()
			go func() { _ = n.Verify(ctx) }()
			synctest.Wait() // it is waiting to be asked
			time.AfterFunc(2*n.times.Election, func() { close(gate) })
			late := time.AfterFunc(time.Minute, func() { panic("Run has not returned a minute after its context ended") })
			l.ends["n1"]()
			late.Stop()
		})
	}
}
