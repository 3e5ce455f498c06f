package raftstore

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// node is a real raft on a Mem, over raft's in-memory transport.
type node struct {
	*raft.Raft
	disk  *Mem
	trans *raft.InmemTransport
	fatal chan error
}

// cluster starts some nodes; t's end stops those that are still up.
func cluster(t *testing.T, size int) (nodes []*node) {
	var conf raft.Configuration
	for i := range size {
		id := fmt.Sprint("n", i)
		_, tr := raft.NewInmemTransport(raft.ServerAddress(id))
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
		nodes = append(nodes, &node{disk: NewMem(), trans: tr, fatal: make(chan error, 1)})
	}
	for i, n := range nodes {
		for _, peer := range nodes {
			n.trans.Connect(peer.trans.LocalAddr(), peer.trans)
		}
		s := openMem(t, n.disk, Config{Deadline: 5 * time.Second, Fatal: func(err error) { n.fatal <- err }})
		c := raft.DefaultConfig()
		c.LocalID, c.Logger = conf.Servers[i].ID, hclog.NewNullLogger()
		if err := raft.BootstrapCluster(c, s, s, s.Snapshots(), n.trans, conf); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(c, nullFSM{}, s, s, s.Snapshots(), n.trans)
		if err != nil {
			t.Fatal(err)
		}
		n.Raft = r
		t.Cleanup(func() { r.Shutdown().Error() })
	}
	return nodes
}

// leader waits, in virtual time, for a leader among nodes other than not.
func leader(t *testing.T, nodes []*node, not *node) *node {
	t.Helper()
	for range 600 {
		for _, n := range nodes {
			if n != not && n.State() == raft.Leader {
				return n
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no leader within a minute")
	return nil
}

// raft503: the disk of the leader hangs. Raft alone keeps it leader
// without a commit for ever. Fatal comes within Deadline, the process ends, and
// another leads and commits soon after.
func raft503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := cluster(t, 3)
		old := leader(t, nodes, nil)
		if err := old.Apply([]byte("x"), 0).Error(); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		old.disk.OnWrite(func(string) error { <-release; return nil })
		start := time.Now()
		lost := old.Apply([]byte("y"), 0)
		time.Sleep(4 * time.Second)
		if old.State() != raft.Leader { // else the watchdog would not be needed
			t.Error("raft itself noticed the hung disk")
		}
		if err := <-old.fatal; time.Since(start) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		crash(old, nodes)
		expectProgress(t, nodes, old, start, 5*time.Second)
		close(release)
		if err := lost.Error(); err == nil {
			t.Error("acknowledged by a node that was dead")
		}
	})
}

// raft614: the disk of the leader fails. Fatal comes at once: the process ends
// and is not elected again, however often raft would. (Would it go on, its store
// refuses to write, and raft panics.)
func raft614(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := cluster(t, 3)
		old := leader(t, nodes, nil)
		old.disk.OnWrite(func(what string) error {
			if what == "store" {
				return syscall.EIO
			}
			return nil
		})
		start := time.Now()
		if err := old.Apply([]byte("y"), 0).Error(); err == nil {
			t.Error("acknowledged")
		}
		if err := <-old.fatal; !errors.Is(err, syscall.EIO) || time.Since(start) != 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		crash(old, nodes)
		expectProgress(t, nodes, old, start, 0)
	})
}

// etcd14370: the only node of a cluster acknowledges nothing before it is saved: the
// process dies before, in, and after each write, and what was acknowledged is there.
func etcd14370(t *testing.T) {
	for die := 1; die <= 12; die++ {
		synctest.Test(t, func(t *testing.T) {
			n := cluster(t, 1)[0]
			leader(t, []*node{n}, nil)
			writes, dead := 0, make(chan struct{})
			n.disk.OnWrite(func(what string) error {
				if what == "store" {
					writes++
				}
				if writes >= die {
					<-dead // the power is out: the write never comes back
					return syscall.EIO
				}
				return nil
			})
			var acked []string
			for i := range 10 {
				done := make(chan error, 1)
				go func() { done <- n.Apply([]byte(fmt.Sprint("w", i)), time.Second).Error() }()
				synctest.Wait()
				select {
				case err := <-done:
					if err == nil {
						acked = append(acked, fmt.Sprint("w", i))
					}
				default: // it waits for the disk, as it must
				}
			}
			n.disk.Crash()
			n.disk.OnWrite(nil)
			close(dead)
			found := contents(t, openMem(t, n.disk, Config{}))
			for _, w := range acked {
				if !strings.Contains(found, w) {
					t.Errorf("dead at write %d: %s was acknowledged and is not in %s", die, w, found)
				}
			}
			if want := min(die-1, 10); len(acked) != want {
				t.Errorf("dead at write %d: %d acknowledged, want %d", die, len(acked), want)
			}
		})
	}
}

// crash takes a node off the network, as the end of its process does.
func crash(n *node, nodes []*node) {
	n.disk.Crash()
	n.trans.DisconnectAll()
	for _, peer := range nodes {
		peer.trans.Disconnect(n.trans.LocalAddr())
	}
}

func expectProgress(t *testing.T, nodes []*node, old *node, start time.Time, deadline time.Duration) {
	t.Helper()
	next := leader(t, nodes, old)
	if err := next.Apply([]byte("z"), 0).Error(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start) - deadline; took > 6*time.Second { // default profile: 1 s timeouts
		t.Errorf("the next commit came %s after the verdict", took)
	}
}

type nullFSM struct{}

func (nullFSM) Apply(*raft.Log) any                 { return nil }
func (nullFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("none") }
func (nullFSM) Restore(io.ReadCloser) error         { return nil }
