package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// hidden is the command under which this binary plays a part of the benchmark.
const hidden = "bench-part"

// Parts that Part plays.
const (
	roleChild      = "child"
	roleBareNode   = "node"
	roleSupervisor = "supervisor"
)

// proc is a process of ours.
type proc struct {
	cmd  *exec.Cmd
	in   io.WriteCloser // of a part
	out  io.Reader      // of a part
	done chan struct{}
}

// start starts a process that dies with this one and gets no signals of the
// terminal. What it says goes to the file log, if any.
func start(log string, args ...string) (*proc, error) {
	p := &proc{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if log != "" {
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot open a log: %w", err)
		}
		defer f.Close()
		p.cmd.Stdout, p.cmd.Stderr = f, f
	}
	return p, p.run()
}

// startPart starts this binary in one of the roles, with a pipe to and from it.
func startPart(self, role string, config any) (*proc, error) {
	arg, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	p := &proc{cmd: exec.Command(self, hidden, role, string(arg)), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// A pipe of our own: Wait would close cmd's before all is read.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p.cmd.Stdout, p.out = w, r
	return p, p.run()
}

// run starts p and waits for its end in the background; kill waits for that.
func (p *proc) run() error {
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start a process: %w", err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ends is the caller's doing
	}()
	return nil
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

// kill ends p as a power cut of its process would.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *proc) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// ended tells whether p has ended by itself.
func (p *proc) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// leftovers lists processes whose command line begins in dir.
func leftovers(dir string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(text, []byte(dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// resident is the memory of a process, RSS, in KiB.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("cannot read the memory of process %d: no VmRSS", pid)
}
