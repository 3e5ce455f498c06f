package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/supervisor/health"
)

// Defaults that a zero value in Spec or Probe stands for.
const (
	DefaultGrace         = 10 * time.Second
	DefaultProbeInterval = 250 * time.Millisecond
	DefaultProbeTimeout  = time.Second
	DefaultStartTimeout  = 60 * time.Second
)

// Spec says what to run, for one life.
type Spec struct {
	Key     string   // unique name of this life among the live ones, chosen by the caller
	Name    string   // slash-separated path of the child; names its log folder
	Argv    []string // the program and its arguments; no shell
	Env     []string // KEY=VALUE; added over the base environment and EnvFile
	EnvFile string   // file of KEY=VALUE lines, relative to Dir; "" = none
	Dir     string   // working directory; "" = the node's own

	User   string           // name or number; "" = the node's own
	Group  string           // name or number; "" = the primary group of User
	Umask  *int             // nil = the node's own
	Limits map[string]Limit // by name as in ulimit(1): nofile, core, nproc, as, ...

	StopSignal string        // "SIGTERM" if ""
	Grace      time.Duration // from StopSignal to SIGKILL; 0 = DefaultGrace

	Exclusive bool // runs only until the moment that Hold names
	Notify    bool // gets a NOTIFY_SOCKET, also if neither Probe nor Liveness needs one

	MinUptime time.Duration // the life counts as up after this long; 0 = as soon as exec succeeded
	Probe     *Probe        // if set, it must pass too before the life is up
	Liveness  *Liveness     // if set, the life is ended when it is up and found not to be well
}

// Probe asks a starting child whether it is ready. Exactly one of TCP, HTTP, GRPC, Exec
// and Notify is set. It is asked until it has passed, and never after that.
type Probe struct {
	TCP  string   // host:port that accepts a connection
	HTTP string   // URL that answers a GET with status 200 to 399; redirects are not followed
	GRPC string   // host:port or host:port/service, whose gRPC health service says SERVING
	Exec []string // program that exits with 0, run with the child's environment, folder and user

	// Notify asks nobody: the child must say READY=1, as to systemd (sd_notify(3)), and
	// may put off its StartTimeout with EXTEND_TIMEOUT_USEC.
	Notify bool

	Interval     time.Duration // between two attempts; 0 = DefaultProbeInterval
	Timeout      time.Duration // of one attempt; 0 = DefaultProbeTimeout
	StartTimeout time.Duration // until it has passed, then the child is killed; 0 = DefaultStartTimeout

	SuccessThreshold int // passes in a row that count as one; 0 = 1
}

// Liveness asks a child that is up whether it is still well, until it ends. Exactly
// one of TCP, HTTP, GRPC, Exec and Heartbeat is set; the first four mean what they mean in
// a Probe. A child that is Unhealthy is stopped as Stop does, and its Exited says so; but a Warning goes
// to the log alone.
type Liveness struct {
	TCP, HTTP, GRPC string
	Exec            []string

	// Heartbeat asks nobody: the child must say WATCHDOG=1 this often, as to systemd, and
	// is Unhealthy when twice that has passed since the last time. WATCHDOG_USEC tells it.
	Heartbeat time.Duration

	// Zero values stand for the defaults of package health. Of a Heartbeat, Severity alone
	// counts.
	Interval, Timeout                  time.Duration
	FailureThreshold, SuccessThreshold int
	Severity                           health.Severity // "" = Critical
}

// EventKind says what an Event reports.
type EventKind int

// A life yields Spawned, Up and then one of Exited and Failed, in this order.
// Spawned and Up are left out when the life ends earlier. Exited and Failed are
// the last event of a life; its key is free from then on. Asked may come once, at any time
// before that, and once more from each runner that adopts the life.
const (
	Spawned EventKind = iota + 1 // exec succeeded
	Up                           // MinUptime passed and the probe, if any, passed
	Asked                        // the child asks for what Word says: to be moved
	Exited                       // the process ended, and the rest of its group is killed
	Failed                       // it could not be started, or was killed because it was not ready in time
)

// String returns the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case Spawned:
		return "spawned"
	case Up:
		return "up"
	case Asked:
		return "asked"
	case Exited:
		return "exited"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Event is a fact about one life.
type Event struct {
	Key       string
	Kind      EventKind
	PID       int // 0 if it was never forked
	At        time.Time
	Code      int    // Exited: exit code, or -1 if a signal ended it
	Signal    string // Exited: such as "SIGKILL", "" if it exited by itself
	Requested bool   // we were stopping it
	Err       string // Failed: why, in words
	BeforeUp  bool   // Exited, Failed: Up was never reported
	Fenced    bool   // Exited, Failed: exclusive, and the time that Hold named was over
	// Unwell, of Exited: Liveness had it ended, for this reason; it was not Requested.
	// Else it is healthy.
	Unwell health.HealthStatus
	// Word, of Exited and Asked: what the child said last should follow from its end
	// (X_SELFWARE=): finish, fail, move or escalate; "" if nothing. Because is its reason,
	// in at most 256 bytes of UTF-8.
	Word, Because string
}

// String prints the event in one line.
func (e Event) String() string {
	s := fmt.Sprintf("%s %s pid=%d", e.Key, e.Kind, e.PID)
	if e.Kind == Exited {
		s += fmt.Sprintf(" code=%d signal=%q", e.Code, e.Signal)
	}
	if e.Requested {
		s += " requested"
	}
	if e.Err != "" {
		s += ": " + e.Err
	}
	if !e.Unwell.IsHealthy() {
		s += ": " + e.Unwell.String()
	}
	return s
}

// Process is one life that has not ended.
type Process struct {
	Key, Name string
	PID       int       // 0 while it waits to be forked
	StartTime uint64    // kernel clock ticks since boot, field 22 of /proc/PID/stat
	Since     time.Time // when it was forked
	Up        bool      // Up was reported
	Stopping  bool      // it is being ended: by Stop or Kill, or since it is not well
	Status    string    // the STATUS= it said last, "" if it said none to this runner
	// Health is what its liveness check found last, by the names of package health; "" if
	// it has none, or is not up. Severity is that of Unhealthy, Reason why it is not Healthy.
	Health, Severity, Reason string
}

// check returns the first fault of s that needs no look at the system.
func (s *Spec) check() error {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return errors.New("cannot start: no command is given")
	}
	if err := checkName(s.Name); err != nil {
		return fmt.Errorf("cannot start %q: %v", s.Argv[0], err)
	}
	if _, err := parseSignal(s.StopSignal); err != nil {
		return fmt.Errorf("cannot start %q: %v", s.Argv[0], err)
	}
	if s.Grace < 0 || s.MinUptime < 0 {
		return fmt.Errorf("cannot start %q: grace and min_uptime must not be negative", s.Argv[0])
	}
	if s.Umask != nil && (*s.Umask < 0 || *s.Umask > 0o777) {
		return fmt.Errorf("cannot start %q: umask %#o is not within 0 and 0777", s.Argv[0], *s.Umask)
	}
	err := s.Probe.check()
	if err == nil {
		err = s.Liveness.check()
	}
	if err != nil {
		return fmt.Errorf("cannot start %q: %v", s.Argv[0], err)
	}
	return nil
}

func (p *Probe) check() error {
	if p == nil {
		return nil
	}
	return target{p.TCP, p.HTTP, p.GRPC, p.Exec}.check("a probe", "notify", p.Notify)
}

// checkName refuses names that could lead out of the log folder.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q is not a slash-separated name", name)
	}
	return nil
}

// parseSignal reads "SIGTERM", "TERM" or "" (SIGTERM).
func parseSignal(name string) (syscall.Signal, error) {
	if name == "" {
		return syscall.SIGTERM, nil
	}
	for _, try := range []string{name, "SIG" + name} {
		if sig := unix.SignalNum(try); sig != 0 {
			return sig, nil
		}
	}
	return 0, fmt.Errorf("stop signal %q is not known", name)
}
