package raftstore

import (
	"errors"
	"fmt"
	"io"
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

// cluster starts three nodes; t's end stops those that are still up.
func cluster(t *testing.T) (nodes []*node) {
	var conf raft.Configuration
	for i := range 3 {
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

// TestRaft503DiskHang: the disk of the leader hangs. Raft alone keeps it leader
// without a commit for ever. Fatal comes within Deadline, the process ends, and
// another leads and commits soon after.
func TestRaft503DiskHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := cluster(t)
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

// TestRaft614BadDisk: the disk of the leader fails. Fatal comes at once.
func TestRaft614BadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := cluster(t)
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
