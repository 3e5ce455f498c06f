// Package runner owns the operating system processes of one node: it starts,
// watches, stops and reaps them, and keeps what they print. It knows nothing of
// trees, nodes or decisions; its caller names each life with a key and learns
// from events what became of it.
//
// # What it decides
//
// Only how: which program a name means (in the child's own PATH), what the
// child's environment is (PATH, HOME, LANG, TZ and USER of the node, then
// env_file, then the spec), when a life counts as up (exec succeeded, min_uptime
// over, probe passed), and when a stop becomes a kill (after the grace). Whether
// something is started again is never decided here.
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
//   - Children die with the node process. The kernel's parent-death signal hangs
//     on the thread that forked, so one locked thread forks them all.
//   - One goroutine reaps all children by pidfd, one copies all output. An idle
//     child has no goroutine, no thread and no buffer; it costs three file
//     descriptors.
//   - Only own pids are waited for, so os/exec works beside a Runner. As pid 1
//     it also reaps orphans, but none of this process's own process group, which
//     belong to whoever started them.
//   - Children start with the node's original soft limit of open files: Go
//     raises its own and restores it on fork.
//
// # Faults and their outcome
//
//   - Program, folder, user, env_file or interpreter missing or wrong: Failed,
//     with words that name it.
//   - Out of pids, descriptors or memory: Failed. Nothing is tried again here.
//   - Probe does not pass in its StartTimeout: killed, Failed with the last answer.
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
//     starts: there is one forking thread.
//   - The node process is killed: children die at once; helpers they had started
//     live on until the next New on the same folder, which kills them. It knows
//     them by boot id, pid and start time, by the group of a recorded leader, or
//     by a random marker in their environment, never by a pid alone. Helpers that
//     left the group, lost the marker and outlived their leader are not found.
//   - Two runners on one folder: the second New fails.
//
// Limits (and the umask, where a sandbox denies threads one of their own) cannot
// be set by Go's fork. Such a child starts as our own binary, which sets them and
// becomes the program: main must call MaybeExec first. It costs a few
// milliseconds, only for these children.
//
// # How it is tested
//
// With real processes, waiting for events and never for time: exits, signals,
// groups, limits, users, probes, rotation, full disks, node processes killed
// with SIGKILL, and a pid namespace in which the runner is pid 1. SplitCommand
// is checked against a shell and by a fuzz test; benchmarks compare starts and
// restarts with bare os/exec.
package runner
