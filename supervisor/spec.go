package supervisor

import (
	"fmt"
	"time"
)

// Defaults of a restart policy; the seed's figures.
const (
	DefaultMaxRestarts = 5
	DefaultMaxSeconds  = 60 * time.Second
	DefaultBackoffBase = time.Second
	DefaultBackoffMax  = 60 * time.Second
	// DefaultGrace is the time between the stop signal and SIGKILL.
	DefaultGrace = 10 * time.Second
)

// Limits of a tree. Beyond them NewTree refuses, so that no file can exhaust a node.
const (
	MaxDepth    = 64
	MaxChildren = 100_000
	MaxRestarts = 10_000
)

// Strategy says which siblings share a child's fate (OTP supervisor, "strategy").
type Strategy string

const (
	// OneForOne restarts the failed child alone. Its children are independent:
	// they start and stop without waiting for each other.
	OneForOne Strategy = "one_for_one"
	// OneForAll stops all siblings and starts all again.
	OneForAll Strategy = "one_for_all"
	// RestForOne stops the siblings started after the failed child and starts
	// them again, with it.
	RestForOne Strategy = "rest_for_one"
)

// gated tells whether the children of a supervisor wait for each other.
func (s Strategy) gated() bool { return s == OneForAll || s == RestForOne }

// RestartType says when a child that ended is started again (OTP "restart").
type RestartType string

const (
	// Permanent children are always restarted.
	Permanent RestartType = "permanent"
	// Transient children are restarted only after an abnormal exit.
	Transient RestartType = "transient"
	// Temporary children are never restarted by their own end, nor in a group.
	Temporary RestartType = "temporary"
)

// BackoffKind names the two back-off strategies.
type BackoffKind string

const (
	Exponential BackoffKind = "exponential"
	Fixed       BackoffKind = "fixed"
)

// Backoff is the wait before a restart. Exponential: Base << attempt, at most
// Max, saturating. Fixed: Base always. The zero value is Fixed 0: no wait.
type Backoff struct {
	Kind BackoffKind   `json:"kind"`
	Base time.Duration `json:"base"`
	Max  time.Duration `json:"max,omitempty"`
}

// Duration is the wait before restart number attempt, counted from 0.
func (b Backoff) Duration(attempt int) time.Duration {
	if b.Kind != Exponential || b.Base <= 0 {
		return b.Base
	}
	d := b.Base
	for range attempt {
		if d >= b.Max || d > b.Max-d {
			return b.Max
		}
		d *= 2
	}
	return min(d, b.Max)
}

// Scope says whose restarts a budget counts.
type Scope string

const (
	// ScopeChild gives every child a window of its own: the seed's rule, and the
	// default. Empty means the same.
	ScopeChild Scope = "child"
	// ScopeSupervisor has the children of a supervisor share one, as in OTP. Nodes
	// are lent nothing of it, since many of them may hold its children.
	ScopeSupervisor Scope = "supervisor"
)

// RestartPolicy is the budget of restarts: at most MaxRestarts in the sliding
// period MaxSeconds (OTP "intensity" and "period"); the next one escalates.
type RestartPolicy struct {
	MaxRestarts int           `json:"max_restarts"`
	MaxSeconds  time.Duration `json:"max_seconds"`
	Backoff     Backoff       `json:"backoff"`
	Scope       Scope         `json:"scope,omitempty"`
}

// shared tells whether all children of a supervisor spend one budget.
func (p RestartPolicy) shared() bool { return p.Scope == ScopeSupervisor }

// DefaultRestartPolicy is 5 restarts in 60 s, exponential back-off 1 s to 60 s.
func DefaultRestartPolicy() RestartPolicy {
	return RestartPolicy{
		MaxRestarts: DefaultMaxRestarts,
		MaxSeconds:  DefaultMaxSeconds,
		Backoff:     Backoff{Kind: Exponential, Base: DefaultBackoffBase, Max: DefaultBackoffMax},
		Scope:       ScopeChild,
	}
}

// Spec is a whole tree: the root supervisor, its name and its children.
type Spec struct {
	Name          string        `json:"name"`
	Strategy      Strategy      `json:"strategy"`
	RestartPolicy RestartPolicy `json:"restart_policy"`
	// RetryAfter is on_exhausted: 0 leaves a failed tree stopped, otherwise the
	// leader starts it again after this much cluster time.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// AutoShutdown ends the tree, as finished, with its significant children.
	AutoShutdown AutoShutdown `json:"auto_shutdown,omitempty"`
	// Exclusive makes every child of the tree exclusive.
	Exclusive bool `json:"exclusive,omitempty"`
	// Update, if set, has an Edit renew the workers below a few at a time.
	Update *UpdatePolicy `json:"update,omitempty"`
	// After are paths of other trees, or other trees, that this one starts after and
	// restarts with, as the later siblings in rest_for_one do.
	After    []string    `json:"after,omitempty"`
	Children []ChildSpec `json:"children"`
}

// Size counts all children: workers, supervisors and instances, of a pool as many as it
// may have.
func (s *Spec) Size() int { return sizeOf(s.Children, 0) }

// SizeOn is Size in a cluster of so many nodes, if all fit whoever wants each node.
func (s *Spec) SizeOn(nodes int) int { return sizeOf(s.Children, nodes) }

func sizeOf(children []ChildSpec, nodes int) (n int) {
	for i := range children {
		n += 1 + children[i].most(nodes) + sizeOf(children[i].Children, nodes)
	}
	return n
}

// ChildSpec is one child: a worker (Program set) or a supervisor (Supervisor set).
type ChildSpec struct {
	ID          string      `json:"id"`
	RestartType RestartType `json:"restart_type"`
	// MaxRestarts overrides the budget of the parent's policy for this child.
	MaxRestarts *int `json:"max_restarts,omitempty"`
	// MoveAfter moves the child to another node after so many crashes in a row
	// on one node; 0 never moves it for crashes.
	MoveAfter int `json:"move_after,omitempty"`
	// Exclusive: at most one life of it may run at any time in the whole cluster
	// (P13). On a supervisor it holds for all below it.
	Exclusive bool `json:"exclusive,omitempty"`
	// Significant: its end, by itself and for good, may be that of its supervisor, as
	// that one's AutoShutdown says.
	Significant bool `json:"significant,omitempty"`
	// Replicas of a worker run side by side, as children "1", "2" and so on of it, and
	// it is the supervisor of them. 0 is the worker alone.
	Replicas int `json:"replicas,omitempty"`
	// Update, of a child that stands for many, is SupervisorSpec.Update for its instances.
	Update *UpdatePolicy `json:"update,omitempty"`
	// EachNode has an instance of a worker on each node that fits, named after the node.
	// It stays there: where its node goes, it goes.
	EachNode bool `json:"each_node,omitempty"`
	// Pool, of a worker, is as Replicas, but for a number that is changed while they run.
	Pool *Pool `json:"pool,omitempty"`

	// Exits say what follows from certain ends of a worker; nil leaves all of them to
	// the restart type.
	Exits *ExitRules `json:"exits,omitempty"`

	Placement  Placement       `json:"placement"`
	Program    *Program        `json:"program,omitempty"`
	Supervisor *SupervisorSpec `json:"supervisor,omitempty"`
	Children   []ChildSpec     `json:"children,omitempty"`
}

// SupervisorSpec is what makes a child a supervisor.
type SupervisorSpec struct {
	Strategy      Strategy      `json:"strategy"`
	RestartPolicy RestartPolicy `json:"restart_policy"`
	// Update is Spec.Update for the workers below that have no nearer one.
	Update *UpdatePolicy `json:"update,omitempty"`
	// AutoShutdown ends the supervisor with its significant children.
	AutoShutdown AutoShutdown `json:"auto_shutdown,omitempty"`
}

// Spread says how placement chooses among nodes that fit.
type Spread string

const (
	// SpreadOut prefers the node with the fewest children (the default).
	SpreadOut Spread = "spread"
	// Pack prefers the fullest node that still fits.
	Pack Spread = "pack"
)

// Placement is what a child asks of its node. The core carries it to package
// placement and never looks into it.
type Placement struct {
	// Needs are labels the node must have, exactly.
	Needs map[string]string `json:"needs,omitempty"`
	// CPU in thousandths of a core, Memory in bytes; 0 asks for nothing.
	CPU    int64 `json:"cpu,omitempty"`
	Memory int64 `json:"memory,omitempty"`
	// ApartFrom are paths of children that must run on other nodes: absolute
	// ("shop/web/api"), as spec resolves them.
	ApartFrom []string `json:"apart_from,omitempty"`
	// Nodes are preferred nodes by name, best first; others serve if none fits.
	Nodes []string `json:"nodes,omitempty"`
	Mode  Spread   `json:"mode,omitempty"`
	// Instances of one child keep apart from each other as this says.
	Instances Apartness `json:"instances,omitempty"`
}

// Program is the OS process of a worker, or the function that is run instead of one.
// The core carries it to the agent and never looks into it, but for equality and for Func.
type Program struct {
	// Argv is the command, without a shell; empty for a function.
	Argv []string `json:"argv"`
	// Func is the name of a function that the program of an embedded node has
	// registered. Of the rest it has Env, Grace, MinUptime, a Probe with Notify and a
	// Liveness with Heartbeat only.
	Func    string            `json:"func,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	EnvFile string            `json:"env_file,omitempty"`
	Dir     string            `json:"dir,omitempty"`
	User    string            `json:"user,omitempty"`
	Group   string            `json:"group,omitempty"`
	// Umask is octal permission bits; nil leaves the node's.
	Umask *int `json:"umask,omitempty"`
	// Notify gives it a NOTIFY_SOCKET, also if neither Probe nor Liveness needs one.
	Notify bool             `json:"notify,omitempty"`
	Limits map[string]Limit `json:"limits,omitempty"`
	// StopSignal defaults to SIGTERM; Grace to 10 s.
	StopSignal string        `json:"stop_signal,omitempty"`
	Grace      time.Duration `json:"grace,omitempty"`
	// MinUptime confirms the start once the process has lived so long; 0 as
	// soon as it executes. A Probe confirms it instead.
	MinUptime time.Duration `json:"min_uptime,omitempty"`
	Probe     *Probe        `json:"probe,omitempty"`
	// Liveness watches the process once it is up.
	Liveness *Liveness `json:"liveness,omitempty"`
}

// Limit is one ulimit; Unlimited is -1.
type Limit struct {
	Soft int64 `json:"soft"`
	Hard int64 `json:"hard"`
}

// Probe confirms a start: exactly one of TCP (host:port), HTTP (URL), GRPC
// (host:port, or host:port/service), Exec (argv) and Notify (the program says READY=1,
// as to systemd).
type Probe struct {
	TCP          string        `json:"tcp,omitempty"`
	HTTP         string        `json:"http,omitempty"`
	GRPC         string        `json:"grpc,omitempty"`
	Exec         []string      `json:"exec,omitempty"`
	Notify       bool          `json:"notify,omitempty"`
	Interval     time.Duration `json:"interval,omitempty"`
	Timeout      time.Duration `json:"timeout,omitempty"`
	StartTimeout time.Duration `json:"start_timeout,omitempty"`
	// SuccessThreshold passes in a row confirm the start; 0 is 1. StartTimeout is the
	// bound of failures.
	SuccessThreshold int `json:"success_threshold,omitempty"`
}

// Severity says what follows when a running worker is found not to be well.
type Severity string

const (
	// SeverityWarning: its node notes it, and nothing else follows.
	SeverityWarning Severity = "warning"
	// SeverityCritical: a crash, as if the process had ended by itself.
	SeverityCritical Severity = "critical"
	// SeverityFatal: its supervisor gives up at once, whatever its budget.
	SeverityFatal Severity = "fatal"
)

// Liveness says how to find out that a worker that is up is not well any more: exactly
// one of TCP, HTTP, GRPC and Exec, as in a Probe, and Heartbeat (the program says
// WATCHDOG=1 this often, as to systemd; twice as long without is a failure).
type Liveness struct {
	TCP              string        `json:"tcp,omitempty"`
	HTTP             string        `json:"http,omitempty"`
	GRPC             string        `json:"grpc,omitempty"`
	Exec             []string      `json:"exec,omitempty"`
	Heartbeat        time.Duration `json:"heartbeat,omitempty"`
	Interval         time.Duration `json:"interval,omitempty"`
	Timeout          time.Duration `json:"timeout,omitempty"`
	FailureThreshold int           `json:"failure_threshold,omitempty"`
	SuccessThreshold int           `json:"success_threshold,omitempty"`
	Severity         Severity      `json:"severity,omitempty"`
}

// Validate reports the first thing that makes the spec unusable, with the path
// it concerns. The file's own checks (package spec) say line and column; these
// guard the core against any other caller.
func (s Spec) Validate() error {
	if err := validID(s.Name); err != nil {
		return fmt.Errorf("cannot use tree name: %w", err)
	}
	if err := validSupervisor(s.Name, s.Strategy, s.RestartPolicy, s.Update); err != nil {
		return err
	}
	if err := validAfter(s.Name, s.After); err != nil {
		return err
	}
	total := 0
	if err := validChildren(s.Name, s.RestartPolicy, s.Children, 1, &total); err != nil {
		return err
	}
	return validSignificance(s.Name, s.AutoShutdown, s.Children)
}

func validChildren(parent string, p RestartPolicy, children []ChildSpec, depth int, total *int) error {
	if len(children) > 0 && depth > MaxDepth {
		return fmt.Errorf("cannot use %s: supervisors are nested deeper than %d", parent, MaxDepth)
	}
	seen := make(map[string]bool, len(children))
	for _, c := range children {
		if err := validID(c.ID); err != nil {
			return fmt.Errorf("cannot use a child of %s: %w", parent, err)
		}
		path := parent + "/" + c.ID
		if seen[c.ID] {
			return fmt.Errorf("cannot use %s: the id %q stands twice", path, c.ID)
		}
		seen[c.ID] = true
		if err := validChild(path, c); err != nil {
			return err
		}
		if *total += 1 + c.most(0); *total > MaxChildren {
			return fmt.Errorf("cannot use %s: a tree has at most %d children, instances counted", path, MaxChildren)
		}
		if c.Many() && depth+1 > MaxDepth {
			return fmt.Errorf("cannot use %s: its instances would be nested deeper than %d", path, MaxDepth)
		}
		budget := p
		if c.Pool != nil {
			budget = c.Pool.RestartPolicy
		}
		if budget.shared() && c.MaxRestarts != nil {
			return fmt.Errorf("cannot use %s: it has max_restarts of its own, but shares the budget of %s (scope: supervisor)", path, parent)
		}
		if c.Supervisor == nil {
			continue
		}
		if err := validChildren(path, c.Supervisor.RestartPolicy, c.Children, depth+1, total); err != nil {
			return err
		}
	}
	return nil
}

func validChild(path string, c ChildSpec) error {
	switch {
	case c.RestartType != Permanent && c.RestartType != Transient && c.RestartType != Temporary:
		return fmt.Errorf("cannot use %s: unknown restart_type %q", path, c.RestartType)
	case c.MaxRestarts != nil && (*c.MaxRestarts < 0 || *c.MaxRestarts > MaxRestarts):
		return fmt.Errorf("cannot use %s: max_restarts must be 0 to %d", path, MaxRestarts)
	case c.MoveAfter < 0:
		return fmt.Errorf("cannot use %s: move_after must not be negative", path)
	case c.Supervisor != nil && c.Program != nil:
		return fmt.Errorf("cannot use %s: it has both run and supervisor", path)
	case c.Supervisor == nil && c.Program == nil:
		return fmt.Errorf("cannot use %s: it has neither run nor supervisor", path)
	case c.Supervisor == nil && len(c.Children) > 0:
		return fmt.Errorf("cannot use %s: it has children but is no supervisor", path)
	case c.Supervisor != nil && c.Exits != nil:
		return fmt.Errorf("cannot use %s: exit rules are for workers", path)
	}
	if err := c.Exits.valid(); err != nil {
		return fmt.Errorf("cannot use %s: %v", path, err)
	}
	if c.Supervisor != nil {
		if err := validSupervisor(path, c.Supervisor.Strategy, c.Supervisor.RestartPolicy, c.Supervisor.Update); err != nil {
			return err
		}
	} else if err := validProgram(path, c.Program); err != nil {
		return err
	}
	return validMany(path, &c)
}

func validSupervisor(path string, s Strategy, p RestartPolicy, u *UpdatePolicy) error {
	switch {
	case s != OneForOne && s != OneForAll && s != RestForOne:
		return fmt.Errorf("cannot use %s: unknown strategy %q", path, s)
	case p.MaxRestarts < 0 || p.MaxRestarts > MaxRestarts:
		return fmt.Errorf("cannot use %s: max_restarts must be 0 to %d", path, MaxRestarts)
	case p.MaxSeconds <= 0:
		return fmt.Errorf("cannot use %s: max_seconds must be positive", path)
	case p.Backoff.Kind != "" && p.Backoff.Kind != Fixed && p.Backoff.Kind != Exponential:
		return fmt.Errorf("cannot use %s: unknown back-off %q", path, p.Backoff.Kind)
	case p.Scope != "" && p.Scope != ScopeChild && p.Scope != ScopeSupervisor:
		return fmt.Errorf("cannot use %s: unknown scope %q", path, p.Scope)
	case p.Backoff.Base < 0 || p.Backoff.Max < 0:
		return fmt.Errorf("cannot use %s: back-off must not be negative", path)
	}
	return validUpdate(path, u)
}

// validID accepts what is safe as part of a path, a folder name and a URL.
func validID(id string) error {
	if id == "" || len(id) > 64 || id == "." || id == ".." {
		return fmt.Errorf("id %q must have 1 to 64 characters", id)
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		default:
			return fmt.Errorf("id %q has %q; use letters, digits, '-', '_' and '.'", id, r)
		}
	}
	return nil
}
