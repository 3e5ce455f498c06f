package history

import (
	"cmp"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Time is a moment: nanoseconds of the machine's CLOCK_MONOTONIC.
type Time int64

// Sub is the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Add is the moment d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Never is after everything.
const Never = Time(1<<63 - 1)

// Run is what a run was, and when its phases began.
type Run struct {
	Workload string        `json:"workload"`
	Nemeses  []string      `json:"nemeses"`
	Backend  string        `json:"backend"`
	Profile  string        `json:"profile"`
	Seed     uint64        `json:"seed"`
	Length   time.Duration `json:"length"`
	Binary   string        `json:"binary,omitempty"` // version that the nodes said
	Nodes    []string      `json:"nodes"`
	Checkers []string      `json:"checkers"`
	Children []Child       `json:"children"`

	Began  Time `json:"began"`  // clients began
	Faults Time `json:"faults"` // the first fault may come
	Healed Time `json:"healed"` // all faults were healed
	Ended  Time `json:"ended"`  // clients ended; final reads follow
	Killed Time `json:"killed"` // the nodes were ended, to read their disks
	// Settled is when after Healed all that shall run did; 0 if it never did.
	Settled Time `json:"settled"`
}

// Child is a worker that the workload has, and what is expected of it.
type Child struct {
	Path      string `json:"path"`
	Exclusive bool   `json:"exclusive,omitempty"`
	// Permanent: it must run whenever no fault keeps it from it.
	Permanent bool `json:"permanent,omitempty"`
	// Group is the supervisor whose strategy ties it to others, Place its place in
	// the start order there.
	Group string `json:"group,omitempty"`
	Place int    `json:"place,omitempty"`
	// Restarts in Period are its budget; Period 0 is not judged.
	Restarts int           `json:"restarts,omitempty"`
	Period   time.Duration `json:"period,omitempty"`
}

// OpType is a step of an operation.
type OpType string

// Conflict is the error of a Swap that failed because the register had another value.
const Conflict = "conflict"

// An operation begins with invoke, and ends at most once: ok, fail (surely not
// done) or info (may be done at any later time).
const (
	Invoke OpType = "invoke"
	OK     OpType = "ok"
	Fail   OpType = "fail"
	Info   OpType = "info"
)

// Kind says what an operation does.
type Kind string

// Kinds of operations.
const (
	Write  Kind = "write"  // a register gets Value
	Read   Kind = "read"   // of a register; "" is that there is none
	Delete Kind = "delete" // of a register
	Swap   Kind = "swap"   // a register gets Value if it has Expect
	Add    Kind = "add"    // of an element to the set
	List   Kind = "list"   // of the set
	Start  Kind = "start"  // of a child, by an operator
	Stop   Kind = "stop"
	Look   Kind = "look" // at anything, to see whether it is answered
)

// Limits are the answers that say that a documented limit was reached, and that
// nothing was done.
var Limits = map[string]bool{"busy": true, "too_large": true, "refused": true}

// Op is one step of an operation of a client.
type Op struct {
	Time    Time     `json:"time"`
	Type    OpType   `json:"type"`
	Process int      `json:"process"` // a new one after each info
	ID      string   `json:"id"`      // of the operation; stands in the log as who asked
	Node    string   `json:"node"`    // whom it was asked of
	Kind    Kind     `json:"kind"`
	Key     string   `json:"key,omitempty"`
	Value   string   `json:"value,omitempty"`
	Expect  string   `json:"expect,omitempty"` // of Swap
	Values  []string `json:"values,omitempty"` // of List
	Index   uint64   `json:"index,omitempty"`  // of the log, as answered
	Error   string   `json:"error,omitempty"`
	Final   bool     `json:"final,omitempty"` // a read after everything
}

// Fault is one fault, from its first effect to its last.
type Fault struct {
	Nemesis string `json:"nemesis"`
	// With names the faults that were done at once, "partition-one+kill-agent", of
	// which this is one; "" if it came alone. Each is a Fault of its own.
	With     string            `json:"with,omitempty"`
	What     string            `json:"what"`
	Nodes    []string          `json:"nodes"`
	Start    Time              `json:"start"`
	End      Time              `json:"end"`
	Evidence map[string]uint64 `json:"evidence"`
	// Benign, Clock, Quorum and Down are traits as in package nemesis.
	Benign bool `json:"benign,omitempty"`
	Clock  bool `json:"clock,omitempty"`
	Quorum bool `json:"quorum,omitempty"`
	Down   bool `json:"down,omitempty"`
	// Effects are what it surely did to nodes, as it was seen, whatever the nemesis
	// is called.
	Effects []Effect `json:"effects,omitempty"`
}

// EffectKind says what an effect is.
type EffectKind string

// What a fault can do to a node that changes what is promised of it.
const (
	// Frozen: every process of each of the nodes, children too, stood still.
	Frozen EffectKind = "frozen"
	// CutOff: packets of the nodes could not reach a majority of voters.
	CutOff EffectKind = "cut off"
)

// Effect is what was surely so for some nodes from one moment to another.
type Effect struct {
	Kind  EffectKind `json:"kind"`
	Nodes []string   `json:"nodes"`
	From  Time       `json:"from"`
	To    Time       `json:"to"`
}

// Name is the nemesis, with those at once.
func (f Fault) Name() string { return cmp.Or(f.With, f.Nemesis) }

// Real tells whether the fault left any trace.
func (f Fault) Real() bool {
	for _, n := range f.Evidence {
		if n > 0 {
			return true
		}
	}
	return false
}

// BeatType is what a child tells of itself.
type BeatType string

// A life begins with born and ends with gone: the kernel closed its socket.
const (
	Born BeatType = "born"
	Here BeatType = "here" // it runs
	Term BeatType = "term" // it was asked to stop
	Ends BeatType = "ends" // it is about to end by itself
	Gone BeatType = "gone"
)

// Beat is what a child told, or that it is gone.
type Beat struct {
	Time Time     `json:"time"` // at the child; of gone at the tester
	Type BeatType `json:"type"`
	Life int      `json:"life"` // number of the process in this run

	// Of born alone.
	Child      string `json:"child,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	Epoch      uint64 `json:"epoch,omitempty"`
	Node       string `json:"node,omitempty"`
	Boot       string `json:"boot,omitempty"` // of the machine
	PID        int    `json:"pid,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// Attempt is one attempt to add one to a register that checks epochs.
type Attempt struct {
	Time       Time   `json:"time"`
	Life       int    `json:"life"`
	Child      string `json:"child"`
	Generation uint64 `json:"generation"`
	Epoch      uint64 `json:"epoch"`
	Accepted   bool   `json:"accepted"`
	Value      uint64 `json:"value"` // after it
}

// Seen is one event that a subscriber got.
type Seen struct {
	Time       Time   `json:"time"`
	Subscriber int    `json:"subscriber"`
	Node       string `json:"node"` // whom it was connected to
	Index      uint64 `json:"index"`
	N          int    `json:"n"`
	Kind       string `json:"kind"`
	Path       string `json:"path,omitempty"`
	Verdict    string `json:"verdict,omitempty"`
	Sentence   string `json:"sentence"`
}

// Probe is what a node said when it was asked how it is.
type Probe struct {
	Time     Time   `json:"time"`
	Answered Time   `json:"answered"`
	Node     string `json:"node"`
	Status   int    `json:"status"` // of HTTP; 0 if there was no answer
	Says     string `json:"says"`   // its word, or why there is none
	Leader   string `json:"leader,omitempty"`
}

// Ready tells whether the node said that it can serve.
func (p Probe) Ready() bool { return p.Status == 200 && p.Says == "ok" && p.Leader != "" }

// Sample is what the agent process of a node uses at a moment.
type Sample struct {
	Time    Time   `json:"time"`
	Node    string `json:"node"`
	PID     int    `json:"pid"`
	Files   int    `json:"files"`
	Threads int    `json:"threads"`
	Memory  int64  `json:"memory"` // resident bytes
	// Waited is for how long in all its threads were ready and had no processor.
	Waited time.Duration `json:"waited"`
}

// Log is what the data dirs hold after the run.
type Log struct {
	Disks []Disk `json:"disks"`
	// Common is the last index that a majority of disks reaches, so that it is
	// committed: commands and all that follows from them are told up to there.
	Common    uint64                `json:"common"`
	Names     map[string]string     `json:"names"` // of nodes by id
	Commands  []Command             `json:"commands"`
	Ends      []End                 `json:"ends"`
	Decisions []supervisor.Decision `json:"decisions"`
	Records   []Record              `json:"records"`
	// Complete: the log began at its first entry, so nothing is missing.
	Complete bool `json:"complete"`
}

// Disk is what one node stored.
type Disk struct {
	Node    string  `json:"node"`
	First   uint64  `json:"first"`
	Last    uint64  `json:"last"`
	Entries []Entry `json:"entries"`
	// State is the hash of the state at Log.Common; "" if the disk is behind.
	State string `json:"state"`
	Error string `json:"error,omitempty"` // it could not be read
}

// Entry is one entry of a raft log.
type Entry struct {
	Index uint64 `json:"i"`
	Term  uint64 `json:"t"`
	Hash  string `json:"h"` // of type and data
}

// Command is a user's command in the log; or, of the type "lost", that the node By
// was lost, and Request why.
type Command struct {
	Index   uint64 `json:"index"`
	Type    string `json:"type"`
	By      string `json:"by"`
	Request string `json:"request"`
	Error   string `json:"error,omitempty"` // it was refused
}

// End is an event of the log that says that a life ended, and whether it led to
// decisions: repeats do not.
type End struct {
	Index   uint64           `json:"index"`
	Path    string           `json:"path"`
	Epoch   supervisor.Epoch `json:"epoch"`
	Type    string           `json:"type"`
	Decided bool             `json:"decided"`
}

// Record is one entry of the event stream, as the state kept it.
type Record struct {
	Index    uint64 `json:"i"`
	N        int    `json:"n"`
	Sentence string `json:"s"`
}
