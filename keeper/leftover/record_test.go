package leftover

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestLivesFileIsBoundedAndExact(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, "boot", slog.New(slog.DiscardHandler))
	if err == nil {
		_, err = l.Sweep()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for pid := range 20_000 {
		l.Born(pid, uint64(pid)+7)
		if pid%100 != 0 {
			l.Died(pid)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "lives")); err != nil || info.Size() > 200<<10 {
		t.Errorf("the file was not shortened: %v, %v", info.Size(), err)
	}
	e, err := readLives(filepath.Join(dir, "lives"))
	if err != nil || e.Boot != "boot" || e.Token != l.Head().Token || e.Session != l.Head().Session {
		t.Fatalf("got %+v, %v, want %+v", e, err, l.Head())
	}
	for pid := range 20_000 {
		want := uint64(0)
		if pid%100 == 0 {
			want = uint64(pid) + 7
		}
		if e.live[pid] != want {
			t.Fatalf("pid %d: start time %d, want %d", pid, e.live[pid], want)
		}
	}
}

// BenchmarkLives measures what the record of lives adds to each start and end.
func BenchmarkLives(b *testing.B) {
	l, err := Open(b.TempDir(), "boot", slog.New(slog.DiscardHandler))
	if err == nil {
		_, err = l.Sweep()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	pid := os.Getpid()
	for b.Loop() {
		stat, err := ReadStat(pid)
		if err != nil {
			b.Fatal(err)
		}
		l.Born(pid, stat.Start)
		l.Died(pid)
	}
}

// TestReopen: the record goes on under the same lock and marker.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	l, err := Open(dir, "boot", log)
	if err == nil {
		_, err = l.Sweep()
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Born(7, 70)
	l.Born(8, 80)
	again, err := Reopen(dir, l.Lock(), l.Head(), map[int]uint64{8: 80}, log)
	if err != nil {
		t.Fatal(err)
	}
	again.Born(9, 90)
	e, err := readLives(filepath.Join(dir, livesName))
	if err != nil || e.Head != l.Head() || len(e.live) != 2 || e.live[8] != 80 || e.live[9] != 90 {
		t.Errorf("got %+v, %v", e, err)
	}
}
