package health

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Exec passes if the program Argv exits with 0. It leads a process group of its own,
// which is killed when the attempt ends before it does.
type Exec struct {
	Argv []string
	Dir  string   // "" = that of this process
	Env  []string // nil = that of this process
}

// Name is "exec" and the program.
func (c Exec) Name() string {
	if len(c.Argv) == 0 {
		return "exec"
	}
	return "exec " + c.Argv[0]
}

// Check runs the program. A reason quotes the beginning of what it printed.
func (c Exec) Check(ctx context.Context) HealthStatus {
	if len(c.Argv) == 0 {
		return statusOf(errors.New("cannot run a check: no program is given"))
	}
	var said head
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond // for helpers that hold the pipe
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %s", c.Argv[0], exit)
		if words := clip(string(said)); words != "" {
			err = fmt.Errorf("%w: %s", err, words)
		}
	}
	return statusOf(err)
}

// head keeps the beginning of what is written, and a byte more than clip shows.
type head []byte

func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), maxWords+1-len(*h))]...)
	return len(b), nil
}
