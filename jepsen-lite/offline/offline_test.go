package offline

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// write makes a disk with these commands, an entry each.
func write(t *testing.T, commands ...fsm.Command) string {
	t.Helper()
	dir := t.TempDir()
	s, err := raftstore.Open(raftstore.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range commands {
		data, err := fsm.Entry{Time: time.Duration(i) * time.Second, Commands: []fsm.Command{c}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 1, Type: raft.LogCommand, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func commands(t *testing.T) []fsm.Command {
	t.Helper()
	tree, err := spec.Parse("w.yaml", []byte("name: w\nchildren: [{id: a, run: [x]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return []fsm.Command{
		{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "c", Generation: 1}},
		{Type: fsm.TypeApplyTree, Tree: &tree, By: "jl-1", Request: "r1"},
		{Type: fsm.TypeDeleteTree, Name: "none", By: "jl-2", Request: "r2"},
		{Type: fsm.TypeApplyTree, Tree: &tree, By: "jl-3", Request: "r3"},
	}
}

// TestRead: commands, decisions, records and one state come out of what a
// majority has; a disk that is behind or torn hides nothing.
func TestRead(t *testing.T) {
	all := commands(t)
	for i := range near {
		all = append(all, fsm.Command{Type: fsm.TypeDeleteTree, Name: "none", By: "jl-4", Request: fmt.Sprint(i)})
	}
	last := uint64(len(all))
	torn := t.TempDir()
	if err := os.WriteFile(filepath.Join(torn, "raft.db"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := Read(map[string]string{
		"n1": write(t, all...), "n2": write(t, all[:2]...), "n3": write(t, all[:last-1]...), "n4": torn, "n5": write(t, all...),
	})
	if err != nil {
		t.Fatal(err)
	}
	if log.Common != last-1 || !log.Complete || len(log.Disks) != 5 {
		t.Fatalf("common %d, complete %v, disks %d", log.Common, log.Complete, len(log.Disks))
	}
	states := make(map[string]int)
	for _, d := range log.Disks {
		states[d.State]++
		if (d.Error != "") != (d.Node == "n4") {
			t.Errorf("%s: %q", d.Node, d.Error)
		}
	}
	if len(states) != 2 || states[""] != 2 {
		t.Errorf("states %v", states)
	}
	if len(log.Commands) != len(all)-2 || log.Commands[0].By != "jl-1" || log.Commands[0].Error != "" || log.Commands[1].Error == "" {
		t.Errorf("commands %+v", log.Commands)
	}
	if len(log.Decisions) == 0 || log.Decisions[0].Verdict != supervisor.VerdictStart || len(log.Records) < 2 {
		t.Errorf("decisions %+v, records %+v", log.Decisions, log.Records)
	}
}

// TestDivergence: disks that differ in an entry lead to different states.
func TestDivergence(t *testing.T) {
	all := commands(t)
	other := append(append([]fsm.Command{}, all[:3]...), fsm.Command{Type: fsm.TypeDeleteTree, Name: "w", By: "jl-9", Request: "r9"})
	log, err := Read(map[string]string{"n1": write(t, all...), "n2": write(t, other...)})
	if err != nil {
		t.Fatal(err)
	}
	a, b := log.Disks[0], log.Disks[1]
	if a.State == b.State || a.Entries[3].Hash == b.Entries[3].Hash || a.Entries[2] != b.Entries[2] {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestNothing(t *testing.T) {
	if _, err := Read(map[string]string{"n1": filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("read nothing without an error")
	}
}

// TestEnds: of two reports of one end in a command, one led to the decision.
func TestEnds(t *testing.T) {
	all := commands(t)[:2]
	epoch := supervisor.Stamp{Index: 2}.Epoch()
	crash := supervisor.ChildEvent{Path: "w/a", Epoch: epoch, Type: supervisor.EventCrashed, Reason: supervisor.ExitError}
	all = append(all,
		fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{crash, crash}})
	log, err := Read(map[string]string{"n1": write(t, all...)})
	if err != nil {
		t.Fatal(err)
	}
	decided := 0
	for _, e := range log.Ends {
		if e.Decided {
			decided++
		}
	}
	if len(log.Ends) != 2 || decided > 1 {
		t.Errorf("%+v", log.Ends)
	}
}
