package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHalfADataDir: settings without the log they belong to, or the other way
// round, are refused with what to do; before the first start there is no log.
func TestHalfADataDir(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"never run":            {func(string) error { return nil }, ""},
		"the log is gone":      {func(dir string) error { return ran(dir, false) }, "a wiped disk is a new node: join again with an empty data dir"},
		"it ran, all is there": {func(dir string) error { return ran(dir, true) }, ""},
		"the raft dir is gone": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "raft")) }, "a wiped disk is a new node"},
		"the settings are gone": {func(dir string) error {
			ran(dir, true)
			return os.Remove(filepath.Join(dir, "node.json"))
		}, "its settings are gone"},
		"another node's log": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "raft", "node-id"), []byte("n9-1\n"), 0o600)
		}, "its raft log belongs to node n9-1"},
		"no id at all": {func(dir string) error { return os.Remove(filepath.Join(dir, "raft", "node-id")) }, "a wiped disk is a new node"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Init(dir, Options{Name: "n1"}); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Load(dir)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// ran makes a dir look as after a first start.
func ran(dir string, log bool) error {
	if log {
		if err := os.WriteFile(filepath.Join(dir, "raft", "raft.db"), nil, 0o600); err != nil {
			return err
		}
	}
	return boot{seq: 1, addr: "127.0.0.1:7401"}.write(dir)
}

// TestIDs: two nodes of one name are two nodes.
func TestIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		s, err := Options{Name: "n1"}.settings()
		if err != nil || seen[s.ID] {
			t.Fatalf("%s: %v", s.ID, err)
		}
		seen[s.ID] = true
	}
}
