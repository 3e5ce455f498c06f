package supervisor

import (
	"strconv"
	"time"
)

// Verdict is what Step concluded for one child.
type Verdict string

const (
	VerdictStart    Verdict = "start"    // a first life, or one an operator asked for
	VerdictPlace    Verdict = "place"    // a pending life has its node
	VerdictUp       Verdict = "up"       // a start is confirmed
	VerdictRestart  Verdict = "restart"  // a new life, same node preferred
	VerdictMove     Verdict = "move"     // a new life, on another node
	VerdictEscalate Verdict = "escalate" // over budget, or fatal: the parent decides
	VerdictShutdown Verdict = "shutdown" // ended for good, is significant, and so its supervisor ends
	VerdictFinish   Verdict = "finish"   // ended, and that is right
	VerdictFail     Verdict = "fail"     // ended for good though it should run
	VerdictStop     Verdict = "stop"     // a life must end
	VerdictStopped  Verdict = "stopped"  // a life that had to end has ended
	VerdictRemove   Verdict = "remove"   // the child left the tree
	VerdictWait     Verdict = "wait"     // what follows is to come: its node, its turn or a resume is waited for
	VerdictUpdate   Verdict = "update"   // a rollout begins, halts, goes on, goes back or is done
	VerdictPause    Verdict = "pause"    // an operator wants nothing to begin for now
	VerdictResume   Verdict = "resume"   // and now it may
	VerdictReset    Verdict = "reset"    // the restarts charged so far are forgotten
	VerdictStay     Verdict = "stay"     // it asked to be moved too soon after the last time
	VerdictScale    Verdict = "scale"    // a pool has another number of instances
)

// Cause says what led to a decision. Path is the child or node at its root:
// the child itself, the sibling of a group restart, the lost node.
type Cause struct {
	Kind   CauseKind `json:"kind"`
	Path   string    `json:"path,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// CauseKind is also what a child learns as SELFWARE_START_REASON.
type CauseKind string

const (
	CauseInitial    CauseKind = "initial"
	CauseCrash      CauseKind = "crash"
	CauseExit       CauseKind = "exit"
	CauseGroup      CauseKind = "group"
	CauseEscalation CauseKind = "escalation"
	CauseNodeLost   CauseKind = "failover"
	CauseDrain      CauseKind = "drain"
	CauseOperator   CauseKind = "operator"
	CauseUpdate     CauseKind = "update"
	CauseRevert     CauseKind = "revert" // back to the former spec
	CauseNodes      CauseKind = "nodes"  // the cluster has other nodes
	CauseRetry      CauseKind = "retry"
	CauseConfirmed  CauseKind = "confirmed"
	CauseOrdered    CauseKind = "ordered"
	CausePlacement  CauseKind = "placement"
	CauseAutonomy   CauseKind = "autonomy" // a node alone, without a leader
	CauseShutdown   CauseKind = "shutdown" // the end of a significant child
	CauseResume     CauseKind = "resume"   // a pause is over
	CauseFatal      CauseKind = "fatal"    // a failure that no restart would help
	CauseWord       CauseKind = "word"     // the child's own word, or its exit rules
	// CauseDependency: a path of another tree, which the tree comes after, began anew or failed.
	CauseDependency CauseKind = "dependency"
)

// Budget is a restart window at a moment: Used of Max restarts in Period. Held
// more are kept for nodes that were lent them and cannot be asked.
type Budget struct {
	Used   int           `json:"used"`
	Held   int           `json:"held,omitempty"`
	Max    int           `json:"max"`
	Period time.Duration `json:"period"`
}

func (b Budget) String() string {
	s := strconv.Itoa(b.Used) + " of " + strconv.Itoa(b.Max) + " in " + b.Period.String()
	if b.Held > 0 {
		s += " (and " + strconv.Itoa(b.Held) + " held back for nodes that were cut off)"
	}
	return s
}

// spent: the next failure escalates.
func (b Budget) spent() bool { return b.Used+b.Held >= b.Max }

// Decision is what Step concluded and why. It explains; Orders command.
type Decision struct {
	Stamp
	Path    string  `json:"path"`
	Verdict Verdict `json:"verdict"`
	// Epoch is the life decided on: the new one where there is one.
	Epoch Epoch  `json:"epoch,omitempty"`
	Node  string `json:"node,omitempty"`
	Cause Cause  `json:"cause"`
	// Before and After are the charged window's; equal where nothing was charged.
	Before Budget        `json:"before"`
	After  Budget        `json:"after"`
	Delay  time.Duration `json:"delay,omitempty"`
	// Sentence says it all to a person.
	Sentence string `json:"sentence"`
}

// Action is what an order asks of a node.
type Action string

const (
	Run  Action = "run"
	Halt Action = "stop"
)

// Order is what a node must make true now for one life. The orders of a node
// are the whole of what it must make true: a life that none of them names must
// not run there.
type Order struct {
	Ref
	Action Action `json:"action"`
	// NotBefore is the cluster time before which the life must not start.
	NotBefore time.Duration `json:"not_before,omitempty"`
	Program   *Program      `json:"program,omitempty"`
	// StartReason and Attempt go to the child's environment.
	StartReason string `json:"start_reason,omitempty"`
	Attempt     int    `json:"attempt,omitempty"`
	// Instance, of one of many of its kind, is what tells it from the others.
	Instance string `json:"instance,omitempty"`
	// Exclusive: the life may only begin, and only go on, under the node's lease.
	Exclusive bool `json:"exclusive,omitempty"`
	// Generation goes with the epoch: the pair is never used twice, and grows.
	Generation uint64 `json:"generation,omitempty"`
	// Local is what the node may do alone about the ends of this life, but for those of
	// which Exits, or the child itself, say what follows.
	Local *LocalBudget `json:"local,omitempty"`
	Exits *ExitRules   `json:"exits,omitempty"`
}

// Request is a pending life that needs a node.
type Request struct {
	Ref
	Placement Placement `json:"placement"`
	// Func is the function that it is, which its node must have registered; "": a process.
	Func string `json:"func,omitempty"`
	// Last is the node it ran on before, preferred if it is there ("stickiness");
	// Avoid are nodes it must not go to (it crashed there, or is to leave it).
	Last  string   `json:"last,omitempty"`
	Avoid []string `json:"avoid,omitempty"`
	// Only, if set, is the one node an operator named.
	Only string `json:"only,omitempty"`
	// Kin is the path of the child that this is an instance of; its other instances are
	// below it. Empty: it is none.
	Kin string `json:"kin,omitempty"`
	// Home, if set, is the id of the one node that it belongs to.
	Home string `json:"home,omitempty"`
}

// Phase is where a child is in its life.
type Phase string

const (
	PhasePending  Phase = "pending"  // a life is due and has no node yet
	PhaseAway     Phase = "away"     // a life is due on a node of its own that is not there
	PhaseBackoff  Phase = "backoff"  // it waits out its back-off
	PhaseStarting Phase = "starting" // it has a node and is not confirmed
	PhaseRunning  Phase = "running"
	PhaseStopping Phase = "stopping"
	PhaseFinished Phase = "finished" // ended as it should
	PhaseFailed   Phase = "failed"   // ended for good though it should run
	PhaseStopped  Phase = "stopped"  // an operator stopped it
	PhasePaused   Phase = "paused"   // it should run, and waits for a resume
)

// Status is one child as users see it.
type Status struct {
	Path       string        `json:"path"`
	Supervisor bool          `json:"supervisor,omitempty"`
	Phase      Phase         `json:"status"`
	Node       string        `json:"node,omitempty"`
	Epoch      Epoch         `json:"epoch,omitempty"`
	PID        int           `json:"pid,omitempty"`
	Restarts   int           `json:"restarts"`
	Moves      int           `json:"moves"`
	Since      time.Duration `json:"since"`
	Budget     Budget        `json:"budget"`
	Reason     string        `json:"reason,omitempty"`
	Exclusive  bool          `json:"exclusive,omitempty"`
	// Paused is the pause that it is under, its own or that of one above; nil if none.
	Paused *PauseStatus `json:"paused,omitempty"`
	// Generation of the cluster in which the life of Epoch was ordered to start; 0
	// if it was not yet.
	Generation uint64 `json:"generation,omitempty"`
	// Turn is where it is in a rollout; empty if it is in none.
	Turn Turn `json:"turn,omitempty"`
}

// TreeStatus sums a tree up.
type TreeStatus string

const (
	TreeRunning  TreeStatus = "running"  // every child that should run runs
	TreeDegraded TreeStatus = "degraded" // some do not, yet
	TreeFailed   TreeStatus = "failed"   // the root's budget is spent
	TreeStopped  TreeStatus = "stopped"  // an operator stopped all of it
	TreeFinished TreeStatus = "finished" // its significant children have ended, and it with them
)
