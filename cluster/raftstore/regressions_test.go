package raftstore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRegressions are faults that other systems had, by the names they are known
// under; each function says what must not happen here.
func TestRegressions(t *testing.T) {
	t.Run("raft503-disk-hang", raft503)
	t.Run("raft614-bad-disk-reelected", raft614)
	t.Run("raft661-vote-crash", raft661)
	t.Run("raft163-enospc", func(t *testing.T) {
		t.Run("no acknowledged entry is lost", fullDisk)
		t.Run("no entry is served that was not stored", cacheHoldsOnlyStored)
	})
	t.Run("nats-bitflip-minority", bitflips)
	t.Run("nats-lazy-fsync", lazyFsync)
	t.Run("etcd14370-single-node-ack", etcd14370)
}

// acknowledge is a child that says on stderr when a write came back.
func acknowledge(dir string) {
	s, err := Open(Config{Dir: dir})
	for i := uint64(1); i <= 5 && err == nil; i++ {
		if err = s.StoreLogs(entries(i, i, 1)); err == nil {
			fmt.Fprintf(os.Stderr, "ACK\n")
			err = vote(s, i, "a")
		}
		if err == nil {
			fmt.Fprintf(os.Stderr, "ACK\n")
		}
	}
	if err == nil {
		err = snapshot(s, 5, 1, "x")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "failed: %v\n", err)
	}
	os.Stderr.WriteString("ACK\n")
}

var syscalls = regexp.MustCompile(`(?m)^\d* *(?:\[pid +\d+\] )?(pwrite64|write|fdatasync|fsync)\((\d+)[^"\n]*(?:"(.*?)")?`)

// lazyFsync: between the last write to a file and the acknowledgement lies an
// fsync of it, at every acknowledgement. A power cut may take away what was not
// synced, and nothing else.
func lazyFsync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command(strace, "-f", "-o", trace, "-e", "trace=pwrite64,write,fdatasync,fsync", os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=sync", "DIR="+filepath.Join(dir, "raft"))
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "ptrace") {
		t.Skipf("strace may not trace here: %s", out)
	}
	if err != nil || strings.Count(string(out), "ACK") != 11 || strings.Contains(string(out), "failed") {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if err := synced(string(text)); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if synced(strings.ReplaceAll(string(text), "fdatasync", "nosync")) == nil {
		t.Error("a trace without fdatasync passes: the test sees nothing")
	}
}

// synced reads a trace.
func synced(trace string) error {
	dirty := make(map[string]bool) // descriptors
	acks, writes := 0, 0
	for _, m := range syscalls.FindAllStringSubmatch(trace, -1) {
		switch call, fd, data := m[1], m[2], m[3]; {
		case strings.HasPrefix(data, "ACK"):
			acks++
			for fd := range dirty {
				return fmt.Errorf("descriptor %s was not synced before acknowledgement %d", fd, acks)
			}
		case call == "pwrite64" || call == "write" && fd != "1" && fd != "2" && len(data) > 8:
			writes++
			dirty[fd] = true
		case strings.HasSuffix(call, "sync"):
			delete(dirty, fd)
		}
	}
	if acks < 10 || writes < 20 {
		return errors.New("the trace shows next to nothing")
	}
	return nil
}
