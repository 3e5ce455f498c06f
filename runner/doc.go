// Package runner owns the operating system processes of one node: it starts,
// watches and stops them, and keeps what they print. It knows nothing of trees,
// nodes or decisions; its caller names each life with a key and learns from events
// what became of it. The processes are those of another one, the keeper, which forks,
// signals and reaps for the runner, and outlives it.
//
// # What it decides
//
// Only how: which program a name means (in the child's own PATH), what the
// child's environment is (PATH, HOME, LANG, TZ and USER of the node, then
// env_file, then the spec), when a life counts as up (exec succeeded, min_uptime
// over, probe passed), when one that is up is not well any more (its liveness check has
// failed often enough: package supervisor/health), and when a stop becomes a kill (after
// the grace). Whether something is started again is never decided here.
//
// # Guarantees
//
//   - Each accepted Start ends with exactly one Exited or Failed, in order after
//     Spawned and Up. Run's end aside, no event is lost and none comes twice.
//   - Every child leads a process group of its own. When it ends, for whatever
//     reason, the rest of the group is killed before Exited is reported, and
//     Exited waits up to 250 ms for the group to be empty, so that the next life
//     finds its ports free. The group is signalled while the dead leader is
//     still a zombie, so its number cannot belong to anybody else.
//   - A child that is to say how it is (NOTIFY_SOCKET, sd_notify(3)) is heeded if the
//     kernel says that the message came from its process group. The socket is the keeper's
//     too: what is said while there is no runner is heard by the next. What it said last
//     should follow from its end (X_SELFWARE=) goes with its Exited, to every runner that is
//     told of it.
//   - Children outlive the runner, unless its Run ends in peace. New adopts those that
//     the keeper holds: they are live at once, with their pids and start times, their
//     output is read on, and min_uptime, probes and stops under way go on where they
//     were; liveness checks begin anew. Those that ended meanwhile yield their Exited, and so do
//     those whose end was told to a runner before and that Settle was not called for.
//   - Children die with the keeper (package keeper), and exclusive ones at the moment
//     that Hold named last, whatever has become of this process, and their exec probes
//     with them. Such an end is Fenced. Should the keeper stand still, the runner kills
//     them 100 ms later; both must stand still for them to go on.
//   - One goroutine copies all output. An idle child has no goroutine, no thread and
//     no buffer; it costs two file descriptors here and two in the keeper. A child with a
//     liveness check has a goroutine, which sleeps between two attempts, and one that says
//     how it is a third descriptor on each side.
//   - Children start with the node's original soft limit of open files: Go
//     raises its own and restores it on fork.
//
// # Faults and their outcome
//
//   - Program, folder, user, env_file or interpreter missing or wrong: Failed,
//     with words that name it.
//   - Out of pids, descriptors or memory: Failed. Nothing is tried again here.
//   - Probe does not pass in its StartTimeout: killed, Failed with the last answer.
//   - A child that is up is not well: stopped as by Stop, and its Exited is not Requested
//     but Unwell, also if an agent dies meanwhile. A check that is merely slow for want of a
//     free slot is not held against the child.
//   - A helper speaks for its child and ends before it is read: it is not heeded, for nobody
//     can tell any more whose it was. systemd-notify waits until it is (BARRIER=1); what the
//     child itself says is heeded also after its end.
//   - A child speaks while nobody reads: as many messages wait as the system lets
//     (net.unix.max_dgram_qlen), and then it blocks, as it does when its pipes are full.
//   - An environment with more than 256 KiB, and an exec probe or check that needs it: the
//     next agent cannot ask it, and says so in the log.
//   - Stop signal ignored: SIGKILL after the grace. SIGKILL without effect (the
//     process sleeps in the kernel): a warning every ten seconds; the life ends
//     when the process does.
//   - Log cannot be written (full disk, wrong rights): the child notices nothing.
//     Output is dropped and counted, and a line in the log tells the gap once
//     writing works again. A disk that hangs stops all logs, and children block
//     when their pipes (64 KiB) are full.
//   - A helper that left the group holds a log pipe: Exited is not delayed, and
//     our end is closed after 100 ms.
//   - A file system that hangs at exec or at the look-up of a program delays all
//     starts: one goroutine prepares them, one thread forks.
//   - This process is killed, or hangs: children run on, the next one adopts them. Of
//     their output nothing is lost but what was read and not yet written; while nobody
//     reads, they block when their pipes are full. If a helper was just setting limits,
//     its failure is told by its exit code, 253, alone.
//   - The keeper is killed: this process and all children die at once. What outlives
//     them is killed by the next New on the same folder (package keeper/leftover).
//   - Where there is a cgroup v2 tree, helpers that left the group of a child die with
//     it as well.
//
// Limits cannot be set by Go's fork. Such a child starts as our own binary, which sets them and
// becomes the program: main must call MaybeExec first. It costs a few
// milliseconds, only for these children.
//
// # How it is tested
//
// With real processes, waiting for events and never for time: exits, signals,
// groups, limits, users, probes, rotation, full disks, agents and keepers killed
// with SIGKILL, and a pid namespace in which the keeper is pid 1. SplitCommand
// is checked against a shell and by a fuzz test; benchmarks compare starts and
// restarts with bare os/exec.
package runner
