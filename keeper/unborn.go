package keeper

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

// unbornStep is how often the timer thread looks for a process that is about to be.
const unbornStep = 5 * time.Millisecond

// tick is the unit of start times in /proc.
const tick = 10 * time.Millisecond

// unborn is the exclusive life that the main thread is forking. Between fork and exec
// its pid is known to nobody else, and a file system that hangs may keep it there
// beyond its moment; then it would run, if only for an instant, when others have long
// taken its place.
type unborn struct {
	expected bool          // it is being forked, and was not killed
	since    time.Duration // of wire.BootTime
	doomed   bool          // its moment came meanwhile
}

// expect begins, and ends, the time in which main forks an exclusive life. Under mu.
func (l *lives) expect(exclusive bool) {
	l.unborn = unborn{expected: exclusive, since: wire.BootTime()}
}

// killUnborn kills the process that main is forking, and tells whether there was one
// yet: a child of ours that nobody knows, began since, and still is this program. A
// process that is killed before its exec executes nothing. Under mu; /proc waits for
// no disk.
func (l *lives) killUnborn() (found bool) {
	l.unborn.doomed = true
	pids, _ := leftover.AllPIDs()
	self, _ := os.Readlink("/proc/self/exe")
	for _, pid := range pids {
		if pid == l.agent || l.byPID[pid] != nil {
			continue
		}
		stat, err := leftover.ReadStat(pid)
		if err != nil || stat.Parent != os.Getpid() || stat.Start < uint64(l.unborn.since/tick) {
			continue
		}
		if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil && exe != self {
			continue // an orphan, handed to process 1
		}
		unix.Kill(pid, unix.SIGKILL) // the reaper takes no unknown child while one is forked
		found = true
	}
	l.unborn.expected = !found
	return found
}
