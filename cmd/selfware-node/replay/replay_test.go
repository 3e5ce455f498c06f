package replay

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

const tree = `
name: shop
restart_policy: {max_restarts: 3, max_seconds: 60, backoff: {fixed: 0s}}
children:
  - {id: api, run: api}
  - {id: store, run: store}
`

func parse(t *testing.T, text string) supervisor.Spec {
	t.Helper()
	s, err := spec.Parse("tree.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// written makes the data dir of a node whose log has a tree, of which shop/api crashes
// three times. Up to the entry snapshot, if that is not 0, the log is in a snapshot.
func written(t *testing.T, snapshot uint64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "n1")
	if _, err := node.Init(dir, node.Options{Name: "n1", Bind: "127.0.0.11"}); err != nil {
		t.Fatal(err)
	}
	st, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dir, "raft")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	shop := parse(t, tree)
	w := writer{t: t, st: st, m: fsm.New(), snapshot: snapshot}
	w.add(fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "c", Generation: 1}})
	w.add(fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: link.Node{ID: "n1-7f", Name: "n1", Boot: "b", BootSeq: 1}}})
	w.add(fsm.Command{Type: fsm.TypeApplyTree, Tree: &shop, By: "ann"})
	for _, path := range []string{"shop/api", "shop/store"} {
		w.place(path)
	}
	for range 3 {
		w.event("shop/api", supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1})
		w.event("shop/api", supervisor.ChildEvent{Type: supervisor.EventStarted})
	}
	w.event("shop/store", supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 2})
	return dir
}

// writer appends to a log what a cluster would, an entry a second.
type writer struct {
	t     *testing.T
	st    *raftstore.Store
	m     *fsm.Machine
	index uint64
	// snapshot is the entry after which one is taken.
	snapshot uint64
}

func (w *writer) add(c fsm.Command) {
	w.t.Helper()
	w.index++
	data, err := fsm.Entry{Time: time.Duration(w.index) * time.Second, Commands: []fsm.Command{c}}.Encode()
	if err == nil {
		_, err = w.m.Apply(w.index, data)
	}
	if err == nil {
		err = w.st.StoreLogs([]*raft.Log{{Index: w.index, Term: 1, Type: raft.LogCommand, Data: data}})
	}
	if err == nil && w.index == w.snapshot {
		err = w.take()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// take puts the state into a snapshot, and takes what led to it out of the log.
func (w *writer) take() error {
	state, err := w.m.Snapshot()
	if err != nil {
		return err
	}
	sink, err := w.st.Snapshots().Create(raft.SnapshotVersionMax, w.index, 1, raft.Configuration{}, 1, nil)
	if err == nil {
		_, err = sink.Write(state)
	}
	if err == nil {
		err = sink.Close()
	}
	if err == nil {
		err = w.st.DeleteRange(1, w.index)
	}
	return err
}

func (w *writer) place(path string) {
	var r supervisor.Request
	w.m.View(func(v fsm.View) { r, _ = v.Tree("shop").Request(path) })
	w.add(fsm.Command{Type: fsm.TypeAssign, Assign: []supervisor.Assign{{Path: path, Epoch: r.Epoch, Node: "n1-7f"}}})
	w.event(path, supervisor.ChildEvent{Type: supervisor.EventStarted})
}

func (w *writer) event(path string, ev supervisor.ChildEvent) {
	w.m.View(func(v fsm.View) {
		st, _ := v.Tree("shop").Child(path)
		ev.Path, ev.Epoch = path, st.Epoch
	})
	w.add(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{ev}})
}

// verdicts are those of a child, each with its mark.
func verdicts(r Report, path string) (all []string) {
	for _, l := range r.Lines {
		if l.Path == path {
			all = append(all, string(l.Mark)+string(l.Verdict))
		}
	}
	return all
}

// contents are all files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			all[path] = "dir"
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data) + fi.ModTime().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRead(t *testing.T) {
	dir := written(t, 0)
	before := contents(t, dir)
	for _, cfg := range []Config{{Dir: dir}, {Log: filepath.Join(dir, "raft", "raft.db")}} {
		r, err := Read(cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"start", "place", "up", "restart", "up", "restart", "up", "restart", "up"}
		if got := verdicts(r, "shop/api"); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if slices.ContainsFunc(r.Lines, func(l Line) bool { return strings.Contains(l.Node+l.Sentence, "-7f") }) {
			t.Errorf("a node is not called by its name: %+v", r.Lines)
		}
		if r.Last != 14 || r.Entries != 14 || r.Snapshot != 0 || len(r.Departures) > 0 {
			t.Errorf("%+v", r)
		}
	}
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("the data dir was changed")
	}
}

// TestPolicy: with two restarts the third crash escalates, and takes the tree down.
func TestPolicy(t *testing.T) {
	dir := written(t, 0)
	same, fewer, slower := parse(t, tree), parse(t, strings.ReplaceAll(tree, "max_restarts: 3", "max_restarts: 2")), parse(t, strings.ReplaceAll(tree, "fixed: 0s", "fixed: 2s"))
	r, err := Read(Config{Dir: dir, Policy: &same})
	if err != nil || len(r.Departures) > 0 || slices.ContainsFunc(r.Lines, func(l Line) bool { return l.Mark != Same }) {
		t.Errorf("with the same policy: %+v, %v", r, err)
	}
	if r, err = Read(Config{Dir: dir, Policy: &fewer}); err != nil {
		t.Fatal(err)
	}
	want := []string{"start", "place", "up", "restart", "up", "restart", "up", "-restart", "+escalate", "?up"}
	if got := verdicts(r, "shop/api"); !slices.Equal(got, want) {
		t.Errorf("with fewer restarts: %v, want %v", got, want)
	}
	if got := verdicts(r, "shop/store"); got[len(got)-1] != "?restart" {
		t.Errorf("its sibling, which would have been stopped: %v", got)
	}
	if !slices.Equal(r.Departures, []Departure{{"shop/api", 12}, {"shop", 12}}) {
		t.Errorf("departures: %+v", r.Departures)
	}
	if r, err = Read(Config{Dir: dir, Policy: &slower}); err != nil || r.Departures[0] != (Departure{"shop/api", 8}) {
		t.Errorf("with a longer wait: %+v, %v", r.Departures, err)
	}
}

// TestSnapshot: what is in a snapshot was decided before; another policy counts from it.
func TestSnapshot(t *testing.T) {
	dir := written(t, 9)
	before := contents(t, dir)
	r, err := Read(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := verdicts(r, "shop/api"); !slices.Equal(got, []string{"restart", "up", "restart", "up"}) || r.Snapshot != 9 || r.Last != 14 || r.Entries != 5 {
		t.Errorf("%v, %+v", got, r)
	}
	fewer := parse(t, strings.ReplaceAll(tree, "max_restarts: 3", "max_restarts: 2"))
	if r, err = Read(Config{Dir: dir, Policy: &fewer}); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(r, "shop/api"); !slices.Equal(got, []string{"restart", "up", "-restart", "+escalate", "?up"}) {
		t.Errorf("with fewer restarts: %v", got)
	}
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("the data dir was changed")
	}
}

func TestRefused(t *testing.T) {
	dir := written(t, 0)
	fresh := filepath.Join(t.TempDir(), "fresh")
	if _, err := node.Init(fresh, node.Options{Name: "n9"}); err != nil {
		t.Fatal(err)
	}
	other := parse(t, strings.ReplaceAll(tree, "name: shop", "name: shed"))
	for want, cfg := range map[string]Config{
		"as a data dir":              {Dir: t.TempDir()},
		"no raft log":                {Dir: fresh},
		"a log is a file raft.db":    {Log: filepath.Join(dir, "node.json")},
		`no tree "shed"; at its end`: {Dir: dir, Policy: &other},
	} {
		if _, err := Read(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	running, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dir, "raft")})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := Read(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "is in use by another process; stop its node first") {
		t.Errorf("a store in use: %v", err)
	}
}
