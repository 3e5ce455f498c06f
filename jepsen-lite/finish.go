package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/offline"
)

// dataDir is where copies of the nodes' disks are, in the folder of a run.
const dataDir = "data"

// finish reads everything once more, ends the nodes and reads their disks.
func (t *tester) finish(ctx context.Context) error {
	if err := t.clients.Final(ctx); err != nil {
		t.say("%v", err) // what was not read is missing, and found so
	}
	t.converge(ctx)
	voters := t.voters(ctx)
	for _, n := range t.lab.Nodes() {
		t.run.Nodes = append(t.run.Nodes, n.Name())
	}
	t.run.Killed = history.Now()
	if err := t.killAll(); err != nil {
		return err
	}
	log, err := t.disks(voters)
	if err != nil {
		return err
	}
	return errors.Join(
		t.ops.Close(), t.faults.Close(), t.seen.Close(), t.samples.Close(), t.probes.Close(), t.witness.Close(),
		history.Save(t.dir, history.FileLog, log), history.Save(t.dir, history.FileRun, t.run),
	)
}

// killAll ends all nodes at once, or those that are left would go on writing.
func (t *tester) killAll() error {
	nodes := t.lab.Nodes()
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		if _, err := n.Keeper(); err == nil { // else it is down
			all.Go(func() { errs[i] = n.Kill() })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// voters are the nodes that have the log: the others run children only. Nil if
// nobody says.
func (t *tester) voters(ctx context.Context) map[string]bool {
	s, err := lab.Status(ctx, t.lab)
	if err != nil {
		t.say("%v", err)
		return nil
	}
	voters := make(map[string]bool)
	for _, n := range s.Nodes {
		if n.Voter {
			voters[n.Name] = true
		}
	}
	return voters
}

// disks copies the raft folders of the voters and reads the copies.
func (t *tester) disks(voters map[string]bool) (history.Log, error) {
	dirs := make(map[string]string)
	for _, n := range t.lab.Nodes() {
		if n.Left() || voters != nil && !voters[n.Name()] {
			continue
		}
		to := filepath.Join(t.dir, dataDir, n.Name())
		if err := os.CopyFS(to, os.DirFS(filepath.Join(n.DataDir(), "raft"))); err != nil {
			return history.Log{}, fmt.Errorf("cannot copy the disk of %s: %w", n.Name(), err)
		}
		dirs[n.Name()] = to
	}
	return offline.Read(dirs)
}
