package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selfware/selfware/jepsen-lite/history"
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
	for _, n := range t.lab.Nodes() {
		t.run.Nodes = append(t.run.Nodes, n.Name())
	}
	t.run.Killed = history.Now()
	for _, n := range t.lab.Nodes() {
		if _, err := n.Keeper(); err != nil {
			continue // it is down
		}
		if err := n.Kill(); err != nil {
			return fmt.Errorf("cannot end %s: %w", n.Name(), err)
		}
	}
	log, err := t.disks()
	if err != nil {
		return err
	}
	return errors.Join(
		t.ops.Close(), t.faults.Close(), t.seen.Close(), t.samples.Close(), t.witness.Close(),
		history.Save(t.dir, history.FileLog, log), history.Save(t.dir, history.FileRun, t.run),
	)
}

// disks copies the nodes' raft folders and reads the copies. Those of nodes that
// left are of no account.
func (t *tester) disks() (history.Log, error) {
	dirs := make(map[string]string)
	for _, n := range t.lab.Nodes() {
		if n.Left() {
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
