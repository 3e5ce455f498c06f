package api

import (
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// Status is the whole cluster at a glance: `selfware-node status --json`.
type Status struct {
	Cluster ClusterStatus `json:"cluster"`
	Nodes   []NodeStatus  `json:"nodes"`
	Trees   []TreeStatus  `json:"trees"`
}

// ClusterStatus is the cluster as such.
type ClusterStatus struct {
	ID         string `json:"id"`
	Leader     string `json:"leader"` // name of the leading node
	Term       uint64 `json:"term"`
	Index      uint64 `json:"index"` // log index the answer is of
	Generation uint64 `json:"generation"`
	// Checksum is how the answering node's replica compares with the majority's.
	Checksum Checksum `json:"checksum"`
	// Paced says why moves are held back at the moment, after the loss of many nodes
	// at once; empty if they are not.
	Paced string `json:"paced,omitempty"`
}

// Checksum is what came of the replicas' comparison with each other.
type Checksum struct {
	// Index is the log index of the newest comparison asked for, Agreed that of the
	// newest whose outcome is known: the answering node was equal to a majority. 0:
	// none since the node started or was restored.
	Index  uint64 `json:"index"`
	Agreed uint64 `json:"agreed"`
	// Verdict is equal if Agreed is not 0, else none. A node that differs stops.
	Verdict string `json:"verdict" enum:"equal,none"`
}

// NodeStatus is one node.
type NodeStatus struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Status  string `json:"status" enum:"alive,suspect,lost,draining,left"`
	Voter   bool   `json:"voter"`
	Leader  bool   `json:"leader"`
	// Health is how the node finds itself (memory, disk, clock); empty if it is not alive.
	Health string `json:"health,omitempty" enum:"healthy,degraded,unhealthy"`
	// Circuit says whether children are placed there; empty if the node is not alive.
	// Why not is in Reason.
	Circuit string `json:"circuit,omitempty" enum:"closed,open,half_open"`
	// Children counts what runs or is due there.
	Children int               `json:"children"`
	Labels   map[string]string `json:"labels,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Version  string            `json:"version,omitempty"`
	API      string            `json:"api,omitempty"`
}

// TreeStatus is one tree with its workers in start order.
type TreeStatus struct {
	Name     string        `json:"name"`
	Status   string        `json:"status" enum:"running,degraded,failed,stopped,finished"`
	Children []ChildStatus `json:"children"`
	// Paused is the pause of the whole tree; those of parts of it are told of each child.
	Paused *Paused `json:"paused,omitempty"`
	// Rollout is the update under way, or the last one if it was taken back.
	Rollout *Rollout `json:"rollout,omitempty"`
	// After are other trees, or paths of them, that this one comes after.
	After []string `json:"after,omitempty"`
	// WaitsFor are those of them that are not up.
	WaitsFor []Awaited `json:"waits_for,omitempty"`
}

// ChildStatus is one child.
type ChildStatus struct {
	Path       string    `json:"path"`
	Supervisor bool      `json:"supervisor,omitempty"`
	Exclusive  bool      `json:"exclusive,omitempty"`
	Strategy   string    `json:"strategy,omitempty"` // of a supervisor
	Status     string    `json:"status" enum:"pending,away,starting,running,stopping,backoff,finished,failed,stopped,paused"`
	Node       string    `json:"node"` // its name
	Epoch      uint64    `json:"epoch"`
	PID        int       `json:"pid"`
	Restarts   int       `json:"restarts"`
	Moves      int       `json:"moves"`
	Since      time.Time `json:"since"` // by the leader's wall clock, about
	Reason     string    `json:"reason"`
	// Turn, in a rollout: it waits for it, with its former program, or has it.
	Turn string `json:"turn,omitempty" enum:"waits,tries"`
	// Says is what it says of itself. It is not replicated, and no answer has it: clients
	// that want it ask for it besides (GET /v1/says), as the command line does.
	Says *Says `json:"says,omitempty" doc:"Left out by the API, see /v1/says; the command line fills it in"`
	// Paused: nothing of it begins or moves for now, by its own pause or by one above.
	Paused *Paused `json:"paused,omitempty"`
}

// Paused is a pause of a path, which lasts until it is resumed.
type Paused struct {
	Path  string    `json:"path"` // that was paused, the nearest above
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"` // by the leader's wall clock, about
}

// Epoch is what tells the lives of a child apart outside the cluster. Of two lives
// the later one has the greater fence, restores and forced recoveries included; so a
// resource that keeps the greatest it has seen can refuse the rest (package fence).
type Epoch struct {
	Path       string `json:"path"`
	Epoch      uint64 `json:"epoch"`      // SELFWARE_EPOCH of the present life
	Generation uint64 `json:"generation"` // SELFWARE_GENERATION
	// Fence is SELFWARE_FENCE: both as hexadecimal text of fixed width.
	Fence     string `json:"fence" example:"00000001-00000000002a0003"`
	Node      string `json:"node"` // its name
	Status    string `json:"status" enum:"pending,away,starting,running,stopping,backoff,finished,failed,stopped,paused"`
	Exclusive bool   `json:"exclusive"`
}

// Event is one entry of the event stream, ordered by (Index, N).
type Event struct {
	Index    uint64               `json:"index"`
	N        int                  `json:"n"`
	At       time.Time            `json:"at"`
	Kind     string               `json:"kind" enum:"decision,node,tree"`
	Path     string               `json:"path,omitempty"`
	Node     string               `json:"node,omitempty"` // its name
	Verdict  string               `json:"verdict,omitempty"`
	Sentence string               `json:"sentence"`
	Decision *supervisor.Decision `json:"decision,omitempty"`
}

// Why is the chain of decisions behind a child's present state, oldest first.
type Why struct {
	Child     ChildStatus           `json:"child"`
	Budget    supervisor.Budget     `json:"budget"`
	Decisions []supervisor.Decision `json:"decisions"`
	// Waiting says, for a child without a node, what each node refuses it for.
	Waiting *Waiting `json:"waiting,omitempty"`
	// WaitsFor says, for a child that may not start yet, what its tree comes after and
	// is not up.
	WaitsFor []Awaited `json:"waits_for,omitempty"`
}

// Waiting is why a child has no node.
type Waiting struct {
	Why      string    `json:"why"`
	Refusals []Refusal `json:"refusals"`
}

// Refusal says why one node, by name, was not fit.
type Refusal struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

// TagNone is the tag of a tree that is not there.
const TagNone = fsm.TagNone

// Plan is what applying a tree file would change.
type Plan struct {
	Tree string `json:"tree"`
	New  bool   `json:"new"`
	// Tag is that of the tree as it is, "none" if it is not there: applied with it,
	// the file changes just what the plan shows.
	Tag     string        `json:"tag"`
	Changes []spec.Change `json:"changes"`
	// Notes say what else comes of the file, such as of pools that were scaled.
	Notes []string `json:"notes,omitempty"`
}

// Done answers a write.
type Done struct {
	// Index is the log index at which the request was carried out.
	Index   uint64 `json:"index"`
	Message string `json:"message"`
}

// Peer is one server of raft's configuration.
type Peer struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
	Leader  bool   `json:"leader"`
}

// LogLine is one line of a child's output.
type LogLine struct {
	Stream string `json:"stream" enum:"stdout,stderr"`
	Text   string `json:"text"`
}

// Ask names what a verb (start, stop, restart, move, pause, resume, reset) is about.
type Ask struct {
	// Path is a worker, a supervisor or a tree.
	Path string `json:"path" minLength:"1" maxLength:"8192" doc:"Path of a worker, a supervisor or a tree" example:"shop/web/api"`
	// To is the node, by name or id, for a move; empty lets placement choose.
	To string `json:"to,omitempty" maxLength:"256" doc:"Node to move to, by name or id; any other node if empty"`
	// Why is for the record of a pause, a resume and a reset.
	Why string `json:"why,omitempty" maxLength:"512" doc:"Why a pause, a resume or a reset is asked for, for the record of decisions" example:"the disk is fixed"`
}

// Transfer says who is to lead.
type Transfer struct {
	// To is a voter by name or id; empty is the most advanced one.
	To string `json:"to,omitempty" maxLength:"256" doc:"Voter to lead, by name or id; the most advanced one if empty"`
}

// Health is what one node says of itself.
type Health struct {
	// Status is ok if the node knows a leader, and no_leader (with HTTP status
	// 503) if it does not.
	Status string `json:"status" enum:"ok,no_leader"`
	Node   string `json:"node"`   // its name
	Leader string `json:"leader"` // name of the leading node; empty if none is known
	Leads  bool   `json:"leads"`
	Index  uint64 `json:"index"` // of the node's replica
}

// Version is what a node runs.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Schema  int    `json:"schema"` // of log entries and snapshots
}

// Hash is the state of one replica: equal at equal index on all of them.
type Hash struct {
	Index uint64 `json:"index"`
	Hash  string `json:"hash"` // SHA-256, hexadecimal
}
