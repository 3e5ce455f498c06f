package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Lab is a cluster of real nodes. One goroutine works the faults; Nodes and the
// methods of a Node that only look may be called from any.
type Lab interface {
	// Backend is "netns", "loopback" or "compose".
	Backend() string
	// Can says what faults this lab can do. It is known before Start.
	Can() Caps
	// Start makes Config.Nodes nodes and returns once all are alive and a
	// majority of those that may vote do.
	Start(ctx context.Context) error
	// Close heals, kills and removes everything. Logs stay, see Node.Log.
	Close() error
	// Nodes are all nodes ever, in the order in which they came; those that have
	// left too, as their processes may go on: see Node.Left.
	Nodes() []Node
	// Join adds a node and returns once it is alive.
	Join(ctx context.Context) (Node, error)
	// Leave takes a node out of the cluster for good, asking through another. The
	// process is left as it is.
	Leave(ctx context.Context, n Node) error
	// Network works the faults of the network; nil without CanCut.
	Network() Network
	// PowerCut takes the power from nodes at one instant: all that they did not
	// sync is lost. They are down after it, on disks as a reboot would find them;
	// Node.Start starts them. It says what was lost. It needs CanPowerCut.
	PowerCut(ctx context.Context, nodes ...Node) (Lost, error)
	// Upgrade replaces the binary of a running node without touching its
	// children. It needs CanUpgrade.
	Upgrade(ctx context.Context, n Node) error
	// Witness is the folder shared with all nodes, as each side names it. Put a
	// program that children shall run there, and listen there.
	Witness() Place
}

// Place is one folder by two names.
type Place struct {
	Here  string // as the tester names it
	There string // as children name it
}

// Node is one node of a lab.
type Node interface {
	Name() string
	// IP is the node's address in the cluster's network. It may not be reachable
	// from the tester: use HTTP.
	IP() string
	// URL is the base of the node's API, to be used with HTTP.
	URL() string
	// HTTP reaches URL past all network faults. It has no timeout of its own.
	HTTP() *http.Client
	// DataDir is the node's data dir as the tester can read it.
	DataDir() string
	// Log is the file with all that the node printed, over all its boots.
	Log() string

	// Start starts the node if it is down. Two faults at once may both want that, from
	// goroutines of their own: one that runs is left as it is.
	Start(ctx context.Context) error
	// Kill kills the whole node at once, as loss of power does, but for its disk:
	// keeper, agent and children.
	Kill() error
	// Stop ends the node in good order.
	Stop(ctx context.Context) error
	// Freeze stops every process of the node, Thaw lets them go on: the keeper
	// first, then the agent, then children.
	Freeze() error
	Thaw() error

	// Boot counts the starts: 0 before the first.
	Boot() int
	// Left tells whether the node was taken out of the cluster.
	Left() bool
	// Keeper is the process that was started, Agent the one below it that is the
	// node's voice. An error says that there is none now.
	Keeper() (Proc, error)
	Agent() (Proc, error)
	// Children are all processes below the keeper that are not the agent.
	Children() ([]Proc, error)

	// Disk works faults of the data dir's disk; nil without CanDiskFull.
	Disk() Disk
	// Clock works the node's clock; nil without CanClock.
	Clock() Clock
}

// Proc names a process for ever: pids are used again, pairs of pid and start
// are not.
type Proc struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the machine's boot
}

// Ports is a set of what a node listens on; a packet counts by either end.
type Ports uint8

// The ports of a node, and sets of them. Other is all further traffic.
const (
	Gossip  Ports = 1 << iota // 7400, TCP and UDP
	Cluster                   // 7401: raft, sessions, joins
	API                       // 7402: also requests that nodes forward
	Other

	AllPorts = Gossip | Cluster | API | Other
)

// String names the set.
func (p Ports) String() string {
	if p == AllPorts {
		return "all ports"
	}
	var names []string
	for i, name := range []string{"gossip", "cluster", "api", "other"} {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// Rule is what happens to packets of one directed link. The zero Rule is a
// healthy link.
type Rule struct {
	Cut       bool          `json:"cut,omitempty"`
	Delay     time.Duration `json:"delay,omitempty"`
	Jitter    time.Duration `json:"jitter,omitempty"`    // up to so much more; packets may overtake
	Loss      float64       `json:"loss,omitempty"`      // 0 to 1
	Duplicate float64       `json:"duplicate,omitempty"` // 0 to 1
	Reorder   float64       `json:"reorder,omitempty"`   // share that is held back by Delay+Jitter+5 ms more
	Rate      int64         `json:"rate,omitempty"`      // bytes per second; 0 is no limit
}

// Traffic counts packets of one directed link since the lab began.
type Traffic struct {
	Passed     uint64 `json:"passed"`
	Cut        uint64 `json:"cut"` // dropped by a cut
	Lost       uint64 `json:"lost"`
	Delayed    uint64 `json:"delayed"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
}

// Network is the network between nodes. Names are those of nodes.
type Network interface {
	// Set makes rule the rule for packets from one node to another on these
	// ports, in place of whatever was. Without CanShape only Cut may be set.
	Set(from, to string, ports Ports, rule Rule) error
	// Heal makes every link healthy.
	Heal() error
	// Traffic is what was counted from one node to another; over all links, if
	// both are empty.
	Traffic(from, to string) (Traffic, error)
}

// Disk is the disk that holds a node's data dir.
type Disk interface {
	// Fill leaves no space, and says how many bytes that took.
	Fill() (int64, error)
	// Free gives the space back.
	Free() error
}

// ClockFault is how a clock is wrong. The zero value is right.
type ClockFault struct {
	Wall time.Duration `json:"wall,omitempty"` // added to the time of day
	Mono time.Duration `json:"mono,omitempty"` // added to the monotonic and boot time clocks
	Rate int64         `json:"rate,omitempty"` // parts per million that those run faster; negative slower
}

// Clock is the clock that the processes of a node (not its children) see.
type Clock interface {
	// Set makes the clock wrong from now on, in place of how it was. What Mono and
	// Rate have added so far stays, as a monotonic clock does not go back: the zero
	// ClockFault sets the time of day right and the rate, and no more.
	Set(f ClockFault) error
	// Reads counts how often the processes read a clock that was wrong.
	Reads() (uint64, error)
}

// Lost says what a power cut took, by what was written for the purpose right
// before it: what had been synced must be there, what had not must be gone.
type Lost struct {
	Kept uint64 `json:"kept"` // disks on which the synced mark is there
	Gone uint64 `json:"gone"` // disks on which the mark that was not synced is gone
}

// Caps is a set of faults that a lab can do.
type Caps uint32

// Faults.
const (
	CanKill      Caps = 1 << iota // Node.Kill, Start, Stop; signals to processes
	CanPause                      // SIGSTOP of single processes
	CanFreeze                     // Node.Freeze and Thaw
	CanCut                        // Network with Cut, by direction and port
	CanShape                      // Network with all of Rule
	CanDiskError                  // strace may inject errors into system calls
	CanDiskFull                   // Node.Disk
	CanPowerCut                   // Lab.PowerCut
	CanClock                      // Node.Clock
	CanJoin                       // Lab.Join and Leave
	CanUpgrade                    // Lab.Upgrade
)

var capNames = []string{"kill", "pause", "freeze", "cut", "shape", "disk-error", "disk-full", "power-cut", "clock", "join", "upgrade"}

// Has tells whether all of want are there.
func (c Caps) Has(want Caps) bool { return c&want == want }

// String names the faults.
func (c Caps) String() string {
	var names []string
	for i, name := range capNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// Config says what lab to make. Zero values are defaults.
type Config struct {
	// Backend is "netns" (default), "loopback" or "compose".
	Backend string
	// Nodes is how many; 0 is 5 (3 for compose, where the file says so).
	Nodes   int
	Profile string // as of selfware-node; "" is its default
	// Binary is the selfware-node to run. If empty it is built from this module
	// into Dir.
	Binary string
	// Dir is where logs are kept (Dir/NAME.log). It must exist. Data dirs are
	// elsewhere: on tmpfs, loop images or volumes.
	Dir string
	// Seed is of the switch's dice.
	Seed uint64
	// Clocks asks for CanClock: nodes run a build whose clocks can be set wrong,
	// made from this module whatever Binary says: see the function Clocks.
	Clocks bool
	// PowerCuts asks for CanPowerCut: each data dir is on a disk image of its own.
	PowerCuts bool
	// Tags are build tags for a binary that the lab builds.
	Tags     string
	LogLevel string // of the nodes; "" is debug
	// Project is the compose project to work in, if it runs already; it is then
	// left running. Empty makes one of the lab's own.
	Project string
}

// Random is the source of dice that faults are drawn from.
type Random = rand.Rand

// Unable is the error of a lab that cannot be made on this machine, or of a
// fault that it cannot do: the tester exits with 2, not with 1.
type Unable struct{ Why string }

// Error says why.
func (u *Unable) Error() string { return "cannot test here: " + u.Why }

func unable(format string, args ...any) error { return &Unable{fmt.Sprintf(format, args...)} }
