package supervisor

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Step. The state is unchanged by either.
var (
	// ErrStale: the input names a life that is no longer the child's, or repeats
	// what is already known. Duplicates and late messages end here (P7).
	ErrStale = errors.New("stale")
	// ErrUnknown: the input names a child that the tree does not have.
	ErrUnknown = errors.New("unknown child")
	// ErrRefused: an operator asked for what cannot be.
	ErrRefused = errors.New("refused")
)

// Epoch names a life: the place in the log of the decision that created it
// (entry index, and position where an entry carries many inputs). Unique and
// increasing, so it is incarnation number, fencing token and group id at once.
type Epoch uint64

// epochPosBits is how much of an Epoch is the position within the entry.
const epochPosBits = 16

// MaxInputs is how many inputs one log entry may carry.
const MaxInputs = 1 << epochPosBits

// Index is the log index of the decision.
func (e Epoch) Index() uint64 { return uint64(e) >> epochPosBits }

func (e Epoch) String() string {
	return fmt.Sprintf("%d.%d", e.Index(), uint64(e)&(MaxInputs-1))
}

// Stamp is what an input carries into Step: its place in the log, the cluster
// time (time since the cluster began, never wall clock) and the generation of the
// cluster, which a restore or a forced recovery raises.
type Stamp struct {
	Index      uint64        `json:"index"`
	Pos        uint16        `json:"pos"`
	Time       time.Duration `json:"time"`
	Generation uint64        `json:"generation,omitempty"`
}

// Epoch is the epoch of lives that a decision with this stamp creates.
func (s Stamp) Epoch() Epoch { return Epoch(s.Index<<epochPosBits | uint64(s.Pos)) }

// Input is one of ChildEvent, LastWord, Assign, NodeLost, Returned, Drain, Start, Stop, Restart,
// Move, Edit, Scale, Nodes, Delete, Advance, Rollout, Reset, Depend, Follow, Pause, Resume.
type Input interface{ input() }

// EventType says what was seen of a life.
type EventType string

const (
	// EventSpawned: the process executes; its start is not confirmed yet.
	EventSpawned EventType = "spawned"
	// EventStarted: the start is confirmed (min_uptime passed or probe passed).
	EventStarted EventType = "started"
	// EventExited: the process ended, for Reason, with Code or Signal.
	EventExited EventType = "exited"
	// EventCrashed: the life failed in a way that is no exit of a process:
	// it could not be started, or its probe never passed. Detail says why.
	EventCrashed EventType = "crashed"
	// EventFenced: an exclusive life was ended, or never begun, because its node's
	// lease ran out. That is the node's fault: nothing is charged.
	EventFenced EventType = "fenced"
	// EventRestarted: its node restarted the life alone, without a leader: Restarts
	// times in all, the newest of them Ages ago.
	EventRestarted EventType = "restarted"
	// EventAsked: a child that runs asks for what Word says, which is VerdictMove.
	EventAsked EventType = "asked"
)

// ExitReason is the seed's: why a process ended.
type ExitReason string

const (
	ExitNormal  ExitReason = "normal"  // exit code 0
	ExitError   ExitReason = "error"   // another exit code
	ExitKilled  ExitReason = "killed"  // a signal
	ExitTimeout ExitReason = "timeout" // killed by us: not up, or not alive, in time
)

// ChildEvent is a fact about a life, as its agent saw it.
type ChildEvent struct {
	Path   string     `json:"path"`
	Epoch  Epoch      `json:"epoch"`
	Type   EventType  `json:"type"`
	PID    int        `json:"pid,omitempty"`
	Reason ExitReason `json:"reason,omitempty"`
	Code   int        `json:"code,omitempty"`
	Signal string     `json:"signal,omitempty"`
	Detail string     `json:"detail,omitempty"`
	// Ordered, of an end: its node had been told to stop the life, or never had it, and
	// so does not restart it alone.
	Ordered bool `json:"ordered,omitempty"`
	// Fatal, of an end: a restart would not help, so the supervisor gives up at once.
	Fatal bool `json:"fatal,omitempty"`
	// Word is what the child itself said before its end should follow from it:
	// VerdictFinish, VerdictFail, VerdictMove or VerdictEscalate, for the reason Because.
	Word    Verdict `json:"word,omitempty"`
	Because string  `json:"because,omitempty"`
	// Restarts is how often the node had restarted this life alone by then.
	Restarts int `json:"restarts,omitempty"`
	// Ages of the restarts within the window, when the event was sent; oldest first.
	Ages []time.Duration `json:"ages,omitempty"`
}

// LastWord is a ChildEvent that a node sent before it was lost, or left, and that comes
// after: nothing can follow there. Whoever steps the tree knows that, the node did not.
type LastWord ChildEvent

// Assign places a pending life on a node: compare-and-set on its epoch.
type Assign struct {
	Path  string `json:"path"`
	Epoch Epoch  `json:"epoch"`
	Node  string `json:"node"`
	// Why is placement's sentence.
	Why string `json:"why,omitempty"`
}

// NodeLost says that no life of a node runs any more, but for those in Keep
// (a restarted agent's inventory).
type NodeLost struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
	Keep   []Ref  `json:"keep,omitempty"`
	// Restarted: the node itself is well, its agent began anew. Lives due there
	// stay there.
	Restarted bool `json:"restarted,omitempty"`
	// Leased: the node's lease may not have run out yet, so its exclusive lives may
	// still run and are not over. Another NodeLost, without Leased, follows.
	Leased bool `json:"leased,omitempty"`
	// Fenced: the node's lease has surely run out. Its exclusive lives that may
	// have had a process are over, and nothing else changes: the node may be well
	// otherwise.
	Fenced bool `json:"fenced,omitempty"`
	// Apart: its agent may have been without a leader for long enough to restart
	// children alone, and may still be. What it was lent is held back.
	Apart bool `json:"apart,omitempty"`
}

// Returned says that what a node was lent before is void: it knows the orders of
// now. Unreported: it has not told what it did (its agent began anew, or it left
// for good), so that may still be within a window.
type Returned struct {
	Node       string `json:"node"`
	Unreported bool   `json:"unreported,omitempty"`
}

// Ref names a life.
type Ref struct {
	Path  string `json:"path"`
	Epoch Epoch  `json:"epoch"`
}

// Drain moves every life off a node, gracefully and uncharged.
type Drain struct {
	Node string `json:"node"`
}

// Start, Stop, Restart and Move are the operator's verbs. Path may name a
// worker, a supervisor or the tree; By says who asked.
type (
	Start struct {
		Path string `json:"path"`
		By   string `json:"by,omitempty"`
	}
	Stop struct {
		Path string `json:"path"`
		By   string `json:"by,omitempty"`
	}
	Restart struct {
		Path string `json:"path"`
		By   string `json:"by,omitempty"`
	}
	Move struct {
		Path string `json:"path"`
		// To is a node id; empty lets placement choose any other node.
		To string `json:"to,omitempty"`
		By string `json:"by,omitempty"`
	}
)

// Edit gives the tree a new spec. Children whose spec is unchanged are not touched.
type Edit struct {
	Spec Spec   `json:"spec"`
	By   string `json:"by,omitempty"`
	// Members are the nodes of the cluster, for a spec that wants each node.
	Members []Member `json:"members,omitempty"`
}

func (ChildEvent) input() {}
func (LastWord) input()   {}
func (Assign) input()     {}
func (NodeLost) input()   {}
func (Returned) input()   {}
func (Drain) input()      {}
func (Start) input()      {}
func (Stop) input()       {}
func (Restart) input()    {}
func (Move) input()       {}
func (Edit) input()       {}

// Delete stops the whole tree for good; once Gone, its owner drops it.
type Delete struct {
	By string `json:"by,omitempty"`
}

func (Delete) input() {}

// Advance is the time of a rollout's next step (Tree.NextAt); the leader proposes it.
type Advance struct{}

// RolloutVerb is what an operator may say of a rollout.
type RolloutVerb string

const (
	RolloutPause  RolloutVerb = "pause"  // halt: no further child gets its turn
	RolloutResume RolloutVerb = "resume" // go on after a halt
	RolloutRevert RolloutVerb = "revert" // back to the former spec
)

// Rollout is an operator's word about the rollout of a tree; Path is the tree.
type Rollout struct {
	Path string      `json:"path"`
	Verb RolloutVerb `json:"verb"`
	By   string      `json:"by,omitempty"`
}

func (Advance) input() {}
func (Rollout) input() {}
