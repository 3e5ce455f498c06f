package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// result is what a run was like: all that the simulation noted, to the nanosecond, and
// which goroutine ran when. A run that failed may have no trace.
type result struct {
	trace, schedule string
	failed          bool
}

func (r result) String() string {
	return "trace " + cmp.Or(r.trace, "none") + ", schedule " + r.schedule
}

var (
	traceLine    = regexp.MustCompile(`(?m)^trace ([0-9a-f]{16}.*)$`)
	scheduleLine = regexp.MustCompile(`(?m)^schedule (.*)$`)
)

// readResult finds a run's result in what it printed.
func readResult(stdout, stderr []byte) (r result, ok bool) {
	if found := traceLine.FindSubmatch(stdout); found != nil {
		r.trace = string(found[1])
	}
	found := scheduleLine.FindSubmatch(stderr)
	if found == nil {
		return r, false
	}
	r.schedule = string(found[1])
	return r, true
}

// run runs a seed once, and gives what it said.
func (o options) run(binary string, seed uint64, number int) (r result, said []byte, err error) {
	var plan *os.File
	if o.plan != "" {
		if plan, err = os.Open(o.plan); err != nil {
			return r, nil, err
		}
		defer plan.Close()
	}
	var stdout, stderr bytes.Buffer
	cmd := o.command(binary, seed, plan)
	cmd.Stdout, cmd.Stderr = &stdout, &tail{&stderr}
	if o.steps != "" {
		file, err := os.Create(filepath.Join(o.steps, fmt.Sprintf("seed-%d-run-%d", seed, number)))
		if err != nil {
			return r, nil, err
		}
		defer file.Close()
		cmd.Stderr = io.MultiWriter(file, cmd.Stderr)
	}
	failure := cmd.Run()
	r, ok := readResult(stdout.Bytes(), stderr.Bytes())
	if !ok {
		return r, nil, fmt.Errorf("run %d came to no end (%v): %s%s", number, failure, stdout.Bytes(), stderr.Bytes())
	}
	r.failed = failure != nil
	return r, stdout.Bytes(), nil
}

// command gives each run the same few variables, of the same length: they are copied to
// the heap, and a longer one would shift the addresses of what follows. So a plan is read
// from one name, wherever it is.
func (o options) command(binary string, seed uint64, plan *os.File) *exec.Cmd {
	name := ""
	if plan != nil {
		name = "/dev/stdin"
	}
	cmd := &exec.Cmd{
		Path: binary,
		Args: []string{"simtest.test", "-test.run=^TestReplay$", "-test.timeout=2h"},
		Dir:  filepath.Join("internal", "simtest"),
		Env: []string{
			"SELFWARE_REPLAY=" + strconv.FormatUint(seed, 10), "SELFWARE_REPLAY_DAYS=" + digit(o.days),
			"SELFWARE_REPLAY_STEPS=" + digit(o.steps != ""), "SELFWARE_PLAN=" + name,
			"GOMAXPROCS=1", "GOGC=off", // it is collected at moments of replayCollect's choice,
			"GODEBUG=asyncpreemptoff=1,gcstoptheworld=2", // while the world stands still
		},
	}
	if plan != nil {
		cmd.Stdin = plan
	}
	return cmd
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// tail keeps the last few kilobytes that were written.
type tail struct{ *bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if t.Len() > 1<<16 {
		t.Reset()
	}
	return t.Buffer.Write(b)
}
