package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// trialTime is what the agent of another binary gets until it runs. With yieldTime, and
// the same again for the agent of a binary that is gone back to, it is upgradeTime.
// Tests have less.
var trialTime = 10 * time.Second

// proofTime is how long it must then run. An entry of the log that it cannot apply, or
// a peer that it cannot bear, has shown by then.
const proofTime = time.Second

// request gives the upgrade of which s is the outcome so far.
func (s *state) request() *request {
	r := &request{version: s.Version, former: s.Former, failed: s.Failed}
	if s.Reply != 0 {
		file := os.NewFile(uintptr(s.Reply), "request")
		defer file.Close()
		if conn, err := net.FileConn(file); err == nil {
			r.conn, _ = conn.(*net.UnixConn)
		}
	}
	if exe, err := os.Executable(); err == nil && s.Failed != "" { // executed by a descriptor, it is called by its number
		_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(exe)), 0)
	}
	return r
}

// onTrial tells whether this is a new binary that has yet to prove itself, and can go
// back to the one before.
func (k *Keeper) onTrial() bool {
	return k.upgrade != nil && k.upgrade.former != 0 && !k.ending
}

// runs: the agent says that it runs.
func (k *Keeper) runs() {
	switch r := k.upgrade; {
	case r == nil || r.ready || r.runs:
	case k.onTrial():
		r.runs = true
		k.due.Reset(proofTime)
	default:
		k.upgraded(nil)
	}
}

// judge judges the agent of an upgrade that is there when its time is over.
func (k *Keeper) judge() {
	switch r := k.upgrade; {
	case r.runs:
		k.upgraded(nil)
	case k.onTrial():
		r.late = true
		k.lives.signalAgent(unix.SIGKILL)
	default:
		k.upgraded(fmt.Errorf("the agent does not run within %v", trialTime))
	}
}

// why says what is wrong with an agent that has ended.
func (k *Keeper) why(s unix.WaitStatus) string {
	k.lives.lock()
	defer k.lives.mu.Unlock()
	switch r := k.upgrade; {
	case r != nil && r.late:
		return fmt.Sprintf("did not run within %v", trialTime)
	case k.lives.said != "":
		return "does not stay: " + howOf(s) + ": " + k.lives.said
	}
	return "does not stay: " + howOf(s)
}

// goBack goes on as the binary before, which starts its agent. It returns only if that
// cannot be.
func (k *Keeper) goBack(why string) {
	failed := "the new agent " + why
	k.log.Error("going back to the former binary: " + failed)
	r := k.upgrade
	err := k.become("/proc/self/fd/"+strconv.Itoa(r.former), &state{Version: r.version, Failed: failed})
	k.log.Error("cannot execute the former binary; going on with this one", "err", err)
	k.upgraded(fmt.Errorf("%s; and the former binary cannot be executed: %w", failed, err))
}

// upgraded answers for an upgrade once it is seen how its agent does.
func (k *Keeper) upgraded(err error) {
	r := k.upgrade
	if r == nil || r.ready {
		return
	}
	k.upgrade = nil
	if r.former != 0 {
		unix.Close(r.former)
	}
	if err != nil && r.version == 1 {
		err = fmt.Errorf("%w; the former binary has left no way back to it, so agents of this one go on being started", err)
	}
	if r.failed != "" {
		now := fmt.Sprintf("%s; the node runs the former binary again (%s)", r.failed, k.cfg.Version)
		if err != nil {
			now += ", and there too " + err.Error()
		}
		err = errors.New(now)
		k.log.Warn("the upgrade has failed", "outcome", now)
	}
	r.answer(err)
}
