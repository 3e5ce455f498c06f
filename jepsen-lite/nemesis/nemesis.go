package nemesis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// Target says whom a fault is done to.
type Target string

// Targets. The zero value lets the nemesis draw what suits it.
const (
	Any      Target = ""
	One      Target = "one"    // any single node
	Leader   Target = "leader" // the node that leads now
	Follower Target = "follower"
	Minority Target = "minority" // less than half
	Majority Target = "majority" // just more than half
	All      Target = "all"
)

// Nemesis is a kind of fault.
type Nemesis interface {
	// Name is as on the command line: "partition-halves".
	Name() string
	// Line says in one line what it does.
	Line() string
	// Needs is what a lab must be able to do.
	Needs() lab.Caps
	// Inject does the fault once. An error means that nothing is in force; the
	// error is a *lab.Unable if the fault cannot be done here at all.
	Inject(ctx context.Context, l lab.Lab, rng *rand.Rand, target Target) (Fault, error)
}

// Fault is one fault in force, from Inject until Heal.
type Fault interface {
	// Record is what to write to the history. Its End is zero until Heal.
	Record() Record
	// Heal ends the fault. Called again it does nothing. After a kill it starts
	// what was killed; it does not wait until that takes part again.
	Heal(ctx context.Context) error
	// Evidence counts the traces that the fault has left so far; call it after
	// Heal for the whole of them.
	Evidence() Evidence
}

// Record says what was done to whom and when. Times are of the tester's clock.
type Record struct {
	Nemesis string    `json:"nemesis"`
	What    string    `json:"what"` // "n1 and n2 cut off from n3, n4 and n5"
	Nodes   []string  `json:"nodes"`
	Start   time.Time `json:"start"`           // before the first effect
	End     time.Time `json:"end,omitzero"`    // after the last one
	Traits  Traits    `json:"traits,omitzero"` // what checkers must know of it
	// Effects are what was seen to be so. Their times are those of the effect, not
	// of the fault; To is zero while it lasts.
	Effects []Effect `json:"effects,omitempty"`
}

// Effect is something that is surely so for nodes for a time.
type Effect struct {
	Kind     history.EffectKind `json:"kind"`
	Nodes    []string           `json:"nodes"`
	From, To time.Time
}

// Traits are what the judgement of a run depends on.
type Traits struct {
	// Benign: nothing may move because of it (P16).
	Benign bool `json:"benign,omitempty"`
	// Clock: a clock's rate or monotonic time was beyond what leases assume.
	Clock bool `json:"clock,omitempty"`
	// Quorum: a majority was down or cut off from each other; commands may
	// rightly find no leader.
	Quorum bool `json:"quorum,omitempty"`
	// Down: processes of nodes were ended, so children on them ended as well.
	Down bool `json:"down,omitempty"`
}

// Evidence counts traces of a fault, by their kind: "packets cut", "processes
// stopped", "calls failed".
type Evidence map[string]uint64

// Real tells whether the fault left any trace at all.
func (e Evidence) Real() bool {
	for _, n := range e {
		if n > 0 {
			return true
		}
	}
	return false
}
