package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What was put is read back, in order; what is not there is empty; what was cut
// short is refused.
func TestStream(t *testing.T) {
	dir := t.TempDir()
	s, err := Create[Op](dir, FileOps)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s.Put(Op{Time: Time(i), Type: Invoke, Values: []string{"a"}})
	}
	if err := s.Close(); err != nil || s.Len() != 3 {
		t.Fatalf("%d values, %v", s.Len(), err)
	}
	ops, err := Load[Op](dir, FileOps)
	if err != nil || len(ops) != 3 || ops[2].Time != 2 || ops[2].Values[0] != "a" {
		t.Errorf("%+v, %v", ops, err)
	}
	if none, err := Load[Seen](dir, FileSeen); err != nil || none != nil {
		t.Errorf("%+v, %v", none, err)
	}
	text, _ := os.ReadFile(filepath.Join(dir, FileOps))
	if err := os.WriteFile(filepath.Join(dir, FileOps), text[:len(text)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load[Op](dir, FileOps); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("error %v", err)
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, FileRun, Run{Seed: 7}); err != nil {
		t.Fatal(err)
	}
	if r, err := LoadOne[Run](dir, FileRun); err != nil || r.Seed != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := LoadOne[Run](dir, "no.json"); err == nil {
		t.Error("read what is not there")
	}
}

// The stamps of this process's own times are on the same clock.
func TestClock(t *testing.T) {
	before := Now()
	at := At(time.Now())
	if after := Now(); at < before || at > after {
		t.Errorf("%d is not between %d and %d", at, before, after)
	}
	if At(time.Time{}) != 0 {
		t.Error("no time has a stamp")
	}
}
