package keeper

import (
	"log/slog"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/keeper/wire"
)

// TestHoldDoesNotRevive: what is due to die does, though the agent names a later
// moment before the keeper's own thread has woken up. The node may have been frozen
// and have renewed its lease since it thawed; see internal/leasemodel, hold-revives.
func TestHoldDoesNotRevive(t *testing.T) {
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	l, err := newLives()
	if err != nil {
		t.Fatal(err)
	}
	l.add(&life{key: "x", pid: child.Process.Pid, exclusive: true})
	k := &Keeper{log: slog.New(slog.DiscardHandler), lives: l, wake: make(chan struct{}, 1)}
	ours, theirs, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	agent := wire.NewConn(theirs)
	k.serve(ours) // its watch does not run
	l.mu.Lock()
	l.until = wire.BootTime() - time.Millisecond
	l.mu.Unlock()
	if err := agent.Send(&wire.Message{Op: wire.Hold, Number: int64(wire.BootTime() + time.Hour)}); err != nil {
		t.Fatal(err)
	}
	late := time.After(10 * time.Second)
	for look := time.NewTicker(time.Millisecond); !l.holds(); {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("Hold was not taken")
		}
	}
	agent.Close()
	k.threads.Wait()
	if !l.byKey["x"].fenced {
		t.Error("a later moment has revived it")
		_ = child.Process.Kill()
	}
	if err := child.Wait(); err == nil {
		t.Error("it ended by itself")
	}
}

// holds tells whether the moment has been put off. It looks without a hand in it.
func (l *lives) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until > wire.BootTime()
}
