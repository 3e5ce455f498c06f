package nemesis

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// tracer is one strace that is attached to a process and does to its system
// calls what the kernel's own fault injection would, had it any.
type tracer struct {
	of   lab.Proc
	cmd  *exec.Cmd
	done chan struct{}
	hits atomic.Uint64
	said atomic.Pointer[string] // its last line that was no call
}

// trace attaches to a process. inject is as strace -e inject has it, such as
// "fsync,fdatasync:error=EIO".
func trace(p lab.Proc, inject string) (*tracer, error) {
	calls, _, _ := strings.Cut(inject, ":")
	t := &tracer{of: p, done: make(chan struct{})}
	t.cmd = exec.Command("strace", "-f", "-qq", "-p", strconv.Itoa(p.PID), "-e", "trace="+calls, "-e", "signal=none", "-e", "inject="+inject)
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := t.cmd.StderrPipe()
	if err == nil {
		err = t.cmd.Start()
	}
	if err != nil {
		return nil, &lab.Unable{Why: fmt.Sprintf("strace does not run: %v", err)}
	}
	go func() {
		defer close(t.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			line := lines.Text()
			if done(line, strings.Split(calls, ","), strings.Contains(inject, ":delay")) {
				t.hits.Add(1)
			} else if strings.HasPrefix(line, "strace:") {
				t.said.Store(&line)
			}
		}
		_ = t.cmd.Wait() // what it has done is in the lines
	}()
	return t, t.attached(5 * time.Second)
}

// done tells whether a line is of a call to which something was done. One that
// failed says so; of those that are delayed, which are all, each is counted when
// it begins, as the process may well end before it is over.
func done(line string, calls []string, delayed bool) bool {
	if !delayed {
		return strings.Contains(line, "(INJECTED")
	}
	return slices.ContainsFunc(calls, func(call string) bool { return strings.Contains(line, call+"(") })
}

// attached waits until the kernel names a tracer of the process.
func (t *tracer) attached(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(t.of.PID) + "/status")
		if err == nil && !strings.Contains(string(status), "TracerPid:\t0\n") {
			return nil
		}
		if errors.Is(err, os.ErrNotExist) || t.ended() {
			t.stop()
			why := "the process or strace ended"
			if said := t.said.Load(); said != nil {
				why = *said
			}
			return fmt.Errorf("cannot trace pid %d: %s", t.of.PID, why)
		}
		if time.Now().After(deadline) {
			t.stop()
			return fmt.Errorf("cannot trace pid %d: not attached within %v", t.of.PID, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (t *tracer) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// stop detaches. Killed, strace lets go as well: the kernel sees to that.
func (t *tracer) stop() {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.done:
	case <-time.After(3 * time.Second):
		_ = t.cmd.Process.Kill()
		<-t.done
	}
	_ = lab.Signal(t.of, syscall.SIGCONT) // in case that it was left stopped
}
