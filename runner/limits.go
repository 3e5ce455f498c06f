package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unlimited as a value of Limit lifts the limit.
const Unlimited = ^uint64(0)

// Limit is a resource limit, in the units of setrlimit(2).
type Limit struct{ Soft, Hard uint64 }

var limitNames = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE,
	"nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC,
	"rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO, "rttime": unix.RLIMIT_RTTIME,
	"sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// LimitNames lists the limits that Spec.Limits may name, sorted.
func LimitNames() []string { return slices.Sorted(maps.Keys(limitNames)) }

// ParseLimit reads "1024", "1024:4096" (soft:hard) or "unlimited".
func ParseLimit(s string) (Limit, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	var l Limit
	for _, part := range []struct {
		text string
		to   *uint64
	}{{soft, &l.Soft}, {hard, &l.Hard}} {
		n, err := strconv.ParseUint(part.text, 10, 64)
		if part.text == "unlimited" {
			n, err = Unlimited, nil
		}
		if err != nil {
			return Limit{}, fmt.Errorf("cannot read limit %q: it is not a number, SOFT:HARD or unlimited", s)
		}
		*part.to = n
	}
	if l.Soft > l.Hard {
		return Limit{}, fmt.Errorf("cannot read limit %q: soft is above hard", s)
	}
	return l, nil
}

// A child with limits is started through our own binary: limits must be set in
// the new process before its program runs, which Go's fork cannot do.
const execWord = "__selfware_exec"

// execStatusFD is where the helper reports why it could not go on. It closes
// without a word when the program has taken over.
const execStatusFD = 3

// execArgs is what the helper is told, as JSON, in its second argument.
type execArgs struct {
	Parent int                 // must still be our parent, or we die
	Dir    string              // "" = stay
	Path   string              // of the program
	Umask  *int                `json:",omitempty"`
	Limits [][3]uint64         `json:",omitempty"` // resource, soft, hard
	Cred   *syscall.Credential `json:",omitempty"`
}

// mayExec is set once main has called MaybeExec; without it, starting our own
// binary would run a second node.
var mayExec atomic.Bool

// MaybeExec must be the first call in main (and in TestMain of tests that set
// limits). In a process that Runner started to set limits it becomes the
// child's program and does not return; in any other it returns at once.
func MaybeExec() {
	if len(os.Args) < 4 || os.Args[1] != execWord {
		mayExec.Store(true)
		return
	}
	unix.CloseOnExec(execStatusFD)
	err := becomeChild(os.Args[2], os.Args[3:])
	unix.Write(execStatusFD, []byte(err.Error()))
	os.Exit(253)
}

func becomeChild(packed string, argv []string) error {
	runtime.LockOSThread() // exec must come from the thread that asked for the death signal
	var a execArgs
	if err := json.Unmarshal([]byte(packed), &a); err != nil {
		return fmt.Errorf("cannot start %q: cannot read the helper's orders: %v", argv[0], err)
	}
	for _, l := range a.Limits {
		// Not unix.Setrlimit: this one tells Go not to restore the file limit.
		if err := syscall.Setrlimit(int(l[0]), &syscall.Rlimit{Cur: l[1], Max: l[2]}); err != nil {
			return fmt.Errorf("cannot start %q: cannot set its %s limit: %v", argv[0], limitName(int(l[0])), err)
		}
	}
	if a.Umask != nil {
		unix.Umask(*a.Umask)
	}
	if err := setCred(a.Cred); err != nil {
		return fmt.Errorf("cannot start %q: cannot become its user: %v", argv[0], err)
	}
	if a.Dir != "" {
		if err := unix.Chdir(a.Dir); err != nil {
			return fmt.Errorf("cannot start %q: cannot enter its working dir: %v", argv[0], err)
		}
	}
	// A change of user clears the death signal; and the parent may have died meanwhile.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot start %q: cannot set its death signal: %v", argv[0], err)
	}
	if os.Getppid() != a.Parent {
		os.Exit(253)
	}
	return explainExec(&launch{path: a.Path, argv: argv}, syscall.Exec(a.Path, argv, os.Environ()))
}

func setCred(c *syscall.Credential) error {
	if c == nil {
		return nil
	}
	groups := make([]int, len(c.Groups))
	for i, g := range c.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(int(c.Gid)); err != nil {
		return err
	}
	return syscall.Setuid(int(c.Uid))
}

func limitName(resource int) string {
	for name, r := range limitNames {
		if r == resource {
			return name
		}
	}
	return strconv.Itoa(resource)
}

// viaHelper turns l into a launch of our own binary that becomes l.
func (r *Runner) viaHelper(l *launch, s *Spec) (*launch, error) {
	if !mayExec.Load() {
		return nil, fmt.Errorf("cannot start %q: main did not call runner.MaybeExec, so limits cannot be set", l.argv[0])
	}
	a := execArgs{Parent: r.keeper.pid, Dir: l.dir, Path: l.path, Umask: s.Umask, Cred: l.cred}
	for _, name := range slices.Sorted(maps.Keys(s.Limits)) {
		limit := s.Limits[name]
		resource, ok := limitNames[name]
		if !ok {
			return nil, fmt.Errorf("cannot start %q: there is no limit %q; the limits are %s", l.argv[0], name, strings.Join(LimitNames(), ", "))
		}
		if limit.Soft > limit.Hard {
			return nil, fmt.Errorf("cannot start %q: its %s limit has soft %d above hard %d", l.argv[0], name, limit.Soft, limit.Hard)
		}
		a.Limits = append(a.Limits, [3]uint64{uint64(resource), limit.Soft, limit.Hard})
	}
	packed, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: cannot pack its limits: %v", l.argv[0], err)
	}
	argv := append([]string{"/proc/self/exe", execWord, string(packed)}, l.argv...)
	return &launch{path: "/proc/self/exe", argv: argv, env: l.env}, nil
}
