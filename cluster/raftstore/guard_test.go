package raftstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// operations is every kind of write.
var operations = map[string]func(s *Store) error{
	"append":          func(s *Store) error { return s.StoreLogs(entries(1, 2, 1)) },
	"append one":      func(s *Store) error { return s.StoreLog(entries(1, 1, 1)[0]) },
	"delete":          func(s *Store) error { return s.DeleteRange(1, 2) },
	"term":            func(s *Store) error { return s.SetUint64([]byte("CurrentTerm"), 3) },
	"key":             func(s *Store) error { return s.Set([]byte("k"), []byte("v")) },
	"vote":            func(s *Store) error { return vote(s, 3, "a") },
	"snapshot create": func(s *Store) error { return snapshot(s, 1, 1, "x") },
	"snapshot write":  func(s *Store) error { return snapshot(s, 1, 1, "x") },
	"snapshot close":  func(s *Store) error { return snapshot(s, 1, 1, "x") },
}

// only limits a fault to the step of a snapshot that the operation names.
func only(op string, fault func() error) func(string) error {
	step, isSnapshot := strings.CutPrefix(op, "snapshot ")
	return func(what string) error {
		if isSnapshot && what != step {
			return nil
		}
		return fault()
	}
}

// TestRaft614WriteError: any failed write calls Fatal, once, and ends all
// writing, also of other kinds.
func TestRaft614WriteError(t *testing.T) {
	for op, do := range operations {
		t.Run(op, func(t *testing.T) {
			m := NewMem()
			var fatal []error
			s := openMem(t, m, Config{Dir: "/data", Fatal: func(err error) { fatal = append(fatal, err) }})
			m.OnWrite(only(op, func() error { return syscall.EIO }))
			err := do(s)
			if !errors.Is(err, syscall.EIO) || len(fatal) != 1 || !strings.Contains(fatal[0].Error(), "in /data: input/output error") {
				t.Fatalf("got %v, fatal %v", err, fatal)
			}
			m.OnWrite(nil) // the disk is well again, the store stays closed
			for op, do := range operations {
				if err := do(s); !errors.Is(err, syscall.EIO) {
					t.Errorf("%s after the failure: %v", op, err)
				}
			}
			if len(fatal) != 1 || s.Err() == nil {
				t.Errorf("fatal %v, Err %v", fatal, s.Err())
			}
			if got := contents(t, openMem(t, m, Config{})); got != "0..0:; term 0, vote 0 ; snapshots" {
				t.Errorf("stored: %s", got)
			}
		})
	}
}

// TestFullDiskMessage: whether bbolt keeps the error or flattens it to text.
func TestFullDiskMessage(t *testing.T) {
	want := "cannot write raft log in /data: no space left on device; free space and start the node again; nothing acknowledged was lost"
	for _, cause := range []error{syscall.ENOSPC, fmt.Errorf("file resize error: %s", syscall.ENOSPC)} {
		m := NewMem()
		var fatal error
		s := openMem(t, m, Config{Dir: "/data", Fatal: func(err error) { fatal = err }})
		m.OnWrite(func(string) error { return cause })
		if err := s.StoreLogs(entries(1, 1, 1)); err == nil || fatal == nil || fatal.Error() != want {
			t.Errorf("got %v\nwant %s", fatal, want)
		}
	}
}

// fullDisk fills a real, small file system: the writes that were
// acknowledged are all there afterwards.
func fullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	var fatal error
	cfg := Config{Dir: dir, Fatal: func(err error) { fatal = err }}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	for fatal == nil && acked < 10000 {
		l := entries(acked+1, acked+1, 1)[0]
		l.Data = make([]byte, 10000)
		if err := s.StoreLog(l); err == nil {
			acked++
		}
	}
	if fatal == nil || acked == 0 || !strings.HasSuffix(fatal.Error(), "no space left on device; free space and start the node again; nothing acknowledged was lost") {
		t.Fatalf("after %d entries: %v", acked, fatal)
	}
	s.Close()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if last, err := s.LastIndex(); last != acked || err != nil {
		t.Errorf("%d entries acknowledged, %d there, %v", acked, last, err)
	}
}

// TestHang: a write that hangs is fatal after Deadline, while it still hangs,
// and is not acknowledged if it comes through later.
func TestHang(t *testing.T) {
	for op, do := range operations {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMem()
				start, release := time.Now(), make(chan struct{})
				fatal := make(chan error, 1)
				s := openMem(t, m, Config{Dir: "/data", Deadline: 3 * time.Second, Fatal: func(err error) { fatal <- err }})
				m.OnWrite(only(op, func() error { <-release; return nil }))
				acked := make(chan error)
				go func() { acked <- do(s) }()
				err := <-fatal
				want := 3 * time.Second
				if strings.HasPrefix(op, "snapshot") {
					want *= snapFactor
				}
				if got := time.Since(start); got != want || !strings.Contains(err.Error(), "the disk hangs") {
					t.Errorf("after %s: %v", got, err)
				}
				close(release)
				if err := <-acked; err == nil {
					t.Error("acknowledged after the verdict")
				}
			})
		})
	}
}

// TestSlowIsNotHung: writes just within Deadline are fine, however many.
func TestSlowIsNotHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMem()
		s := openMem(t, m, Config{Deadline: 3 * time.Second, Fatal: func(err error) { t.Error(err) }})
		m.OnWrite(func(string) error { time.Sleep(3*time.Second - 1); return nil })
		for op, do := range operations {
			if err := do(s); err != nil {
				t.Errorf("%s: %v", op, err)
			}
		}
		time.Sleep(time.Hour) // no watchdog is left
	})
}

// cacheHoldsOnlyStored: an entry that was not stored, or was deleted, is
// not served from the cache.
func cacheHoldsOnlyStored(t *testing.T) {
	m := NewMem()
	s := openMem(t, m, Config{Fatal: func(error) {}})
	if err := s.StoreLogs(entries(1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRange(2, 3); err != nil {
		t.Fatal(err)
	}
	m.OnWrite(func(string) error { return syscall.EIO })
	if err := s.StoreLogs(entries(2, 3, 2)); err == nil {
		t.Fatal("the write did not fail")
	}
	var l raft.Log
	for i := uint64(2); i <= 3; i++ {
		if err := s.GetLog(i, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("entry %d: %v, %v", i, l, err)
		}
	}
}

// raft661 crashes at each single write of a series of votes. What
// is found afterwards is a vote that was cast. The same on the bare disk, as
// upstream uses it, finds a vote nobody cast: so the test can fail.
func raft661(t *testing.T) {
	votes := []string{"", "a", "b", "a", "c"} // by term
	for _, guarded := range []bool{false, true} {
		torn := 0
		for crash := 1; crash <= 2*len(votes); crash++ {
			m, writes := NewMem(), 0
			m.OnWrite(func(string) error {
				if writes++; writes >= crash {
					return errors.New("crash")
				}
				return nil
			})
			s := openMem(t, m, Config{Fatal: func(error) {}})
			var stable raft.StableStore = s
			if !guarded {
				stable = s.guard.base
			}
			acked := 0
			for term := 1; term < len(votes) && vote(stable, uint64(term), votes[term]) == nil; term++ {
				acked = term
			}
			m.OnWrite(nil)
			s = openMem(t, m, Config{})
			term, _ := s.GetUint64([]byte(keyVoteTerm))
			cand, _ := s.Get([]byte(keyVoteCand))
			if int(term) < acked {
				t.Errorf("guarded %t: vote of term %d was acknowledged, found %d", guarded, acked, term)
			}
			if string(cand) != votes[term] {
				torn++
			}
		}
		if (torn > 0) == guarded {
			t.Errorf("guarded %t: %d votes found that nobody cast", guarded, torn)
		}
	}
}

// TestOldVoteKeys: a vote that plain raft-boltdb wrote is read until there is
// one of ours as late; a candidate without a term is refused.
func TestOldVoteKeys(t *testing.T) {
	m := NewMem()
	s := openMem(t, m, Config{Fatal: func(err error) { t.Error(err) }})
	expect := func(want string) {
		t.Helper()
		term, err1 := s.GetUint64([]byte(keyVoteTerm))
		cand, err2 := s.Get([]byte(keyVoteCand))
		if got := fmt.Sprintf("%d %s", term, cand); got != want || err1 != nil || err2 != nil {
			t.Errorf("got %s, want %s (%v, %v)", got, want, err1, err2)
		}
	}
	vote(s.guard.base, 4, "old")
	expect("4 old")
	vote(s, 5, "ours")
	expect("5 ours")
	vote(s.guard.base, 6, "old")
	expect("6 old")
	s.SetUint64([]byte(keyVoteTerm), 7)
	expect("6 old") // half a vote is none
	if err := s.Set([]byte(keyVoteCand), []byte("x")); err != nil {
		t.Error(err)
	}
	expect("7 x")
	if err := s.Set([]byte(keyVoteCand), []byte("y")); err == nil || !strings.Contains(err.Error(), "its term was not given") {
		t.Errorf("a candidate alone: %v", err)
	}
}

// Children of this test binary: what they do is in the environment.
const childEnv = "RAFTSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "fatal":
		mem := NewMem()
		s, _ := mem.Open(Config{Dir: "/data"})
		mem.OnWrite(func(string) error { return syscall.EIO })
		s.StoreLogs(entries(1, 1, 1))
		os.Exit(9)
	case "pause":
		mem := NewMem()
		s, _ := mem.Open(Config{Dir: "/data", Deadline: time.Second})
		mem.OnWrite(func(string) error {
			fmt.Println("writing")
			_, err := bufio.NewReader(os.Stdin).ReadString('\n')
			return err
		})
		fmt.Println("done", s.StoreLogs(entries(1, 1, 1)))
	case "sync":
		acknowledge(os.Getenv("DIR"))
	}
}

// TestDefaultFatal: the process ends with code 1, the reason and its stacks.
func TestDefaultFatal(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=fatal")
	var out strings.Builder
	cmd.Stderr = &out
	cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("ended with %s", cmd.ProcessState)
	}
	for _, want := range []string{"fatal: cannot write raft log in /data: input/output error\n", "goroutine 1 [running]", "raftstore.(*guard).StoreLogs"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

// TestPauseIsNotHung: a process that is stopped in the middle of a write for
// longer than Deadline goes on when it is continued.
func TestPauseIsNotHung(t *testing.T) {
	if testing.Short() {
		t.Skip("pauses a real process for 1.5 s")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=pause")
	cmd.Stderr = os.Stderr
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(stdout)
	if !out.Scan() || out.Text() != "writing" {
		t.Fatalf("child said %q", out.Text())
	}
	cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // the pause itself
	io.WriteString(stdin, "\n")
	cmd.Process.Signal(syscall.SIGCONT)
	if !out.Scan() || out.Text() != "done <nil>" {
		t.Errorf("child said %q", out.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
