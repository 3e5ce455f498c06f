package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/selfware/selfware/jepsen-lite/clock"
	"github.com/selfware/selfware/jepsen-lite/vswitch"
)

// procNode is one node of procs.
type procNode struct {
	lab           *procs
	name, ip, log string
	dir           string
	ns            *vswitch.Namespace // nil on loopback
	http          *http.Client
	disk          *disk
	clock         *paged // nil without CanClock

	starts sync.Mutex // held while the node is started

	mu     sync.Mutex
	keeper Proc
	done   chan struct{} // closed when the keeper has ended; nil before the first start
	boot   int
	left   bool
	runs   string // the binary after an upgrade; empty is that of the lab
}

var errDown = errors.New("it is down")

// Name implements Node.
func (n *procNode) Name() string { return n.name }

// IP implements Node.
func (n *procNode) IP() string { return n.ip }

// URL implements Node.
func (n *procNode) URL() string { return "http://" + n.ip + ":" + strconv.Itoa(apiPort) }

// HTTP implements Node.
func (n *procNode) HTTP() *http.Client { return n.http }

// DataDir implements Node.
func (n *procNode) DataDir() string { return n.dir }

// Log implements Node.
func (n *procNode) Log() string { return n.log }

// Boot implements Node.
func (n *procNode) Boot() int { n.mu.Lock(); defer n.mu.Unlock(); return n.boot }

// Left implements Node.
func (n *procNode) Left() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.left }

// Disk implements Node.
func (n *procNode) Disk() Disk {
	if !n.lab.can.Has(CanDiskFull) {
		return nil
	}
	return n.disk
}

// Clock implements Node.
func (n *procNode) Clock() Clock {
	if n.clock == nil {
		return nil
	}
	return n.clock
}

// program is the binary that the node runs.
func (n *procNode) program() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return cmp.Or(n.runs, n.lab.cfg.Binary)
}

// Start implements Node.
func (n *procNode) Start(context.Context) error {
	n.starts.Lock()
	defer n.starts.Unlock()
	if _, err := n.Keeper(); err == nil {
		return nil
	}
	if n.Boot() > 0 {
		if err := n.ended(killLimit); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", n.name, err)
	}
	defer log.Close()
	cmd := exec.Command(n.program(), "run", "--data", n.dir, "--log-level", n.lab.cfg.LogLevel)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Env = os.Environ()
	if n.clock != nil {
		cmd.Env = append(cmd.Env, clock.Variable+"="+n.clock.path)
	}
	if err := n.lab.thread.start(cmd, n.ns); err != nil {
		return fmt.Errorf("cannot start %s: %w", n.name, err)
	}
	p, err := procOf(cmd.Process.Pid)
	if err != nil {
		p = Proc{PID: cmd.Process.Pid} // it has ended already; nothing will match it
	}
	done := make(chan struct{})
	n.mu.Lock()
	n.keeper, n.done = p, done
	n.boot++
	n.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	return nil
}

// Keeper implements Node.
func (n *procNode) Keeper() (Proc, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.done == nil {
		return Proc{}, errDown
	}
	if _, err := State(n.keeper); err != nil { // sooner than done, by the reaping
		return Proc{}, errDown
	}
	return n.keeper, nil
}

// Agent implements Node.
func (n *procNode) Agent() (Proc, error) {
	k, err := n.Keeper()
	if err != nil {
		return Proc{}, err
	}
	return agentOf(k)
}

// Children implements Node.
func (n *procNode) Children() ([]Proc, error) {
	k, err := n.Keeper()
	if err != nil {
		return nil, err
	}
	return childrenOf(k)
}

// Kill implements Node.
func (n *procNode) Kill() error {
	k, err := n.Keeper()
	if err != nil {
		return nil // it is down, as it should be
	}
	all, err := below(k.PID)
	if err != nil {
		return fmt.Errorf("cannot kill %s: %w", n.name, err)
	}
	_ = syscall.Kill(k.PID, syscall.SIGKILL) // not reaped before done is closed: it is our child
	for _, s := range all {
		_ = Signal(s.Proc, syscall.SIGKILL) // most have ended with the keeper
	}
	if err := n.ended(killLimit); err != nil {
		return err
	}
	for _, s := range all {
		if err := Await(s.Proc, "", killLimit); err != nil {
			return fmt.Errorf("cannot kill %s: %w", n.name, err)
		}
	}
	return nil
}

// Stop implements Node.
func (n *procNode) Stop(context.Context) error {
	k, err := n.Keeper()
	if err != nil {
		return nil
	}
	if err := Signal(k, syscall.SIGTERM); err != nil {
		return nil // it has ended by itself
	}
	return n.ended(stopLimit)
}

func (n *procNode) ended(limit time.Duration) error {
	n.mu.Lock()
	done := n.done
	n.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("node %s has not ended within %v", n.name, limit)
	}
}

// Freeze implements Node.
func (n *procNode) Freeze() error {
	k, err := n.Keeper()
	if err != nil {
		return fmt.Errorf("cannot freeze %s: %w", n.name, err)
	}
	return freeze(k)
}

// Thaw implements Node.
func (n *procNode) Thaw() error {
	k, err := n.Keeper()
	if err != nil {
		return nil // killed while frozen
	}
	return thaw(k)
}
