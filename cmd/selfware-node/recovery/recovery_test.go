package recovery

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/supervisor"
)

// written is a data dir of a cluster of three voters, whose log has reached an
// index.
type written struct {
	name  string
	index uint64 // at least 3
	term  uint64
}

// write makes the dirs of one cluster. The first of them began it.
func write(t *testing.T, all ...written) (dirs []string) {
	t.Helper()
	root := t.TempDir()
	var ids, token []string
	var settings []node.Settings
	for i, w := range all {
		dir := filepath.Join(root, w.name)
		o := node.Options{Name: w.name, Bind: "127.0.0." + strconv.Itoa(11+i)}
		s, err := node.Init(dir, o)
		if i > 0 && err == nil {
			if err = os.RemoveAll(dir); err == nil {
				s, err = node.Join(dir, "127.0.0.11", token[0], o)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := node.Token(dir)
		if err != nil {
			t.Fatal(err)
		}
		token, ids, dirs, settings = append(token, text), append(ids, s.ID), append(dirs, dir), append(settings, s)
	}
	for i, w := range all {
		store(t, dirs[i], settings[0].ClusterID, ids, w)
	}
	return dirs
}

func store(t *testing.T, dir, clusterID string, ids []string, w written) {
	t.Helper()
	st, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dir, "raft")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var c raft.Configuration
	for i, id := range ids {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress("127.0.0." + strconv.Itoa(11+i) + ":7401")})
	}
	spec := supervisor.Spec{
		Name: "shop", Strategy: supervisor.OneForOne, RestartPolicy: supervisor.DefaultRestartPolicy(),
		Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"a"}}}},
	}
	logs := []*raft.Log{
		{Index: 1, Term: w.term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)},
		{Index: 2, Term: w.term, Type: raft.LogCommand, Data: entry(t, fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: clusterID, Generation: 1}})},
		{Index: 3, Term: w.term, Type: raft.LogCommand, Data: entry(t, fsm.Command{Type: fsm.TypeApplyTree, Tree: &spec})},
	}
	for i := uint64(4); i <= w.index; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: w.term, Type: raft.LogNoop})
	}
	if err := st.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	if err := st.SetUint64([]byte("CurrentTerm"), w.term); err != nil {
		t.Fatal(err)
	}
	// A node that has run has counted it.
	if err := os.WriteFile(filepath.Join(dir, "boot"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func quarantine(t *testing.T, dir string) (until time.Duration) {
	t.Helper()
	st, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dir, "raft")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m, err := cluster.Replay(st)
	if err != nil {
		t.Fatal(err)
	}
	m.View(func(v fsm.View) { until = v.Quarantine() })
	return until
}

func entry(t *testing.T, c fsm.Command) []byte {
	t.Helper()
	data, err := fsm.Entry{Schema: fsm.Schema, Commands: []fsm.Command{c}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCheck(t *testing.T) {
	dirs := write(t, written{"n1", 9, 2}, written{"n2", 7, 3}, written{"n3", 8, 2})
	lone := write(t, written{"n1", 3, 1})
	broken := t.TempDir()
	tests := []struct {
		name     string
		dirs     []string
		furthest string
		missing  int
		err      string
	}{
		{"one of three", dirs[:1], dirs[0], 2, ""},
		{"one of three and a dir that is none", []string{dirs[0], broken}, dirs[0], 2, ""},
		{"two of three", []string{dirs[1], dirs[0]}, dirs[1], 1, "2 of the 3 voters, a majority"},
		{"all", dirs, dirs[1], 0, "3 of the 3 voters"},
		{"the only voter", lone, lone[0], 0, "is the only voter already"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Read(tt.dirs)
			if err != nil {
				t.Fatal(err)
			}
			if r.Furthest != tt.furthest || len(r.Missing) != tt.missing {
				t.Errorf("furthest %s, missing %v; want %s, %d", r.Furthest, r.Missing, tt.furthest, tt.missing)
			}
			if err := r.Check(); tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// TestFurther: with five voters two dirs are no majority, and the better counts.
func TestFurther(t *testing.T) {
	dirs := write(t, written{"n1", 9, 2}, written{"n2", 7, 3}, written{"n3", 3, 1}, written{"n4", 3, 1}, written{"n5", 3, 1})
	r, err := Read(dirs[:2])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err == nil || !strings.Contains(err.Error(), dirs[1]+" reaches further than "+dirs[0]) {
		t.Errorf("got %v, want that the later term reaches further", err)
	}
	if r, err = Read([]string{dirs[1], dirs[0]}); err != nil || r.Check() != nil {
		t.Errorf("got %v, %v for the one that reaches furthest", err, r.Check())
	}
}

func TestRefused(t *testing.T) {
	dirs := write(t, written{"n1", 4, 2})
	other := write(t, written{"n1", 4, 2})
	fresh := filepath.Join(t.TempDir(), "fresh")
	if _, err := node.Init(fresh, node.Options{Name: "n9"}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		dirs []string
		err  string
	}{
		{"no data dir", []string{t.TempDir()}, "cannot recover "},
		{"a dir that never ran", []string{fresh}, "cannot recover "},
		{"two clusters", []string{dirs[0], other[0]}, "is of cluster"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(tt.dirs); err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	running, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dirs[0], "raft")})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := Read(dirs); err == nil {
		t.Error("a store that is in use was read")
	}
}

// TestWrite: afterwards the node is the only voter, with the state it had and a
// generation of its own; what the dirs held before is what was reported.
func TestWrite(t *testing.T) {
	dirs := write(t, written{"n1", 9, 2}, written{"n2", 7, 2}, written{"n3", 7, 2})
	r, err := Read(dirs[:1])
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	r.Print(&shown)
	for _, want := range []string{"last index 9 of term 2", "not here: ", "shop (1 children)", "the generation becomes 1000", "after index 9 is lost"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, shown.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	after, err := Read(dirs[:1])
	if err != nil {
		t.Fatal(err)
	}
	d := after.Dirs[0]
	if len(d.Voters) != 1 || d.Voters[0].ID != d.ID || after.State.Generation != 1000 || d.Index < 9 {
		t.Errorf("after the recovery: %+v, generation %d", d, after.State.Generation)
	}
	if until := quarantine(t, dirs[0]); until < cluster.TimesOf(gossip.LAN).W() {
		t.Errorf("leases may be granted from %v on: those of the lost leader may still hold", until)
	}
	if len(after.State.Trees) != 1 || after.State.Trees[0] != (TreeSize{"shop", 1}) {
		t.Errorf("the trees are %v", after.State.Trees)
	}
}
