package leasemodel

import "hash/maphash"

// ID names a node; nobody is no node.
type ID uint8

const nobody ID = 2

func (i ID) other() ID { return 1 - i }

func (i ID) String() string { return [...]string{"A", "B", "nobody"}[i] }

// standing is what the log says of a node.
type standing uint8

const (
	alive  standing = iota
	lost            // its exclusive lives may still run
	fenced          // they are dead
)

// view is the replicated state, as far as leases go.
type view struct {
	Epoch uint8 // of the child's present life
	Owner ID    // whose order it is
	Nodes [2]standing
}

// verb is what a command in the log says.
type verb uint8

const (
	nothing verb = iota
	nodeUp
	nodeLost
	nodeFenced
	exited
	assign
)

// command is the one entry that is on its way into the log.
type command struct {
	Verb  verb
	Node  ID
	Epoch uint8 // exited: of which life; nodeUp: the life it holds
	Boot  bool  // nodeUp: the agent is a new one
}

// stage is how far a renewal has come.
type stage uint8

const (
	sent     stage = iota
	received       // the leader has it, and a verification has begun that will pass
	answered       // the grant is under way
)

// renewal is a node's request for the lease, and the grant that answers it. It
// stays where it is after it arrived, so that it may arrive again.
type renewal struct {
	Term  uint8 // of the leader it goes to; 0: there is none
	Stage stage
	Age   uint8 // real time since it was sent
	At    uint8 // received: since it arrived
}

// leader is one term's leader, as long as it believes to be that.
type leader struct {
	Leads     bool
	Asked     bool // VerifyBeforeReceipt only: a verification is under way that will pass
	Condemned [2]bool
	Last      [2]uint8 // age: since the receipt of the newest renewal it answered, or its barrier
}

// agentState is the agent process's.
type agentState uint8

const (
	running agentState = iota
	paused
	dead
)

// phase is how far an agent's session has come.
type phase uint8

const (
	apart    phase = iota
	greeting       // its hello is under way
	entering       // the hello has arrived, NodeUp is not committed
	admitted       // it is, and the whole of the orders is under way
	settled        // that has arrived
)

// freezing is the whole node's.
type freezing uint8

const (
	awake freezing = iota
	frozen
	thawed // since less than a tick
)

// node is an agent, its keeper and the process of the exclusive child.
type node struct {
	Agent   agentState
	Frozen  freezing
	Boot    bool // the agent's start is not in the log yet
	Leased  bool // this agent was granted a lease
	Session uint8
	Phase   phase
	Hello   uint8 // the life that the hello named
	Full    uint8 // the life that the whole of the orders names
	Ordered uint8
	Done    uint8 // the newest life that the agent saw end
	Runs    uint8 // the life whose process runs; 0: none
	Hold    uint8 // age of the renewal that the keeper's deadline is counted from, by the node's clock
	Granted uint8 // age of the newest renewal that was truly granted and arrived, in real time
	Renewal [bag]renewal
}

// state is one state of everything. It holds bytes alone, so that it can be
// compared and hashed as it is.
type state struct {
	view
	Flight  command
	Past    view // what the deposed leader knows
	Term    uint8
	Leaders [2]leader
	Nodes   [2]node
	Reports uint8 // exits under way, a bit for each epoch; they stay, so they may be doubled

	// Written is the newest epoch the outside resource took a write of, and by whom.
	Written   uint8
	WrittenBy ID

	// What has been, to judge by.
	Assigned [epochs + 1]ID // by epoch

	// What may still happen.
	Crashes, Pauses, Freezes, Elections, Connects uint8

	Broken Promise
}

// start is the state that all behaviours begin with: both nodes in a session with
// the first leader, the child assigned to A and not begun.
func (sc *Scope) start() state {
	s := state{
		view: view{Epoch: 1, Owner: 0}, Term: 1, WrittenBy: nobody,
		Flight: command{Node: nobody}, Past: view{Owner: nobody},
		Crashes: sc.Crashes, Pauses: sc.Pauses, Freezes: sc.Freezes,
		Elections: sc.Elections, Connects: sc.Connects,
	}
	for e := range s.Assigned {
		s.Assigned[e] = nobody
	}
	s.Assigned[1] = 0
	s.Leaders[0] = leader{Leads: true}
	for i := range s.Nodes {
		s.Nodes[i] = node{Session: 1, Phase: settled, Hold: never, Granted: never}
	}
	return s
}

// sees is the replicated state as a term's leader knows it.
func (s *state) sees(term uint8) *view {
	if term < s.Term {
		return &s.Past
	}
	return &s.view
}

func (s *state) leader(term uint8) *leader { return &s.Leaders[term-1] }

// seed is one for all hashes of a process.
var seed = maphash.MakeSeed()

// key is the same for a state and its mirror image: the nodes have no properties
// but their names, so what holds for one holds for the other.
func (s *state) key() uint64 {
	m := s.mirror()
	return max(1, min(maphash.Comparable(seed, *s), maphash.Comparable(seed, m)))
}

func (v view) mirror() view {
	v.Owner = v.Owner.mirror()
	v.Nodes[0], v.Nodes[1] = v.Nodes[1], v.Nodes[0]
	return v
}

func (i ID) mirror() ID {
	if i == nobody {
		return nobody
	}
	return i.other()
}

func (s *state) mirror() state {
	m := *s
	m.view, m.Past = s.view.mirror(), s.Past.mirror()
	m.Flight.Node = s.Flight.Node.mirror()
	m.WrittenBy = s.WrittenBy.mirror()
	for e := range m.Assigned {
		m.Assigned[e] = s.Assigned[e].mirror()
	}
	m.Nodes[0], m.Nodes[1] = s.Nodes[1], s.Nodes[0]
	for i := range m.Leaders {
		l := &m.Leaders[i]
		l.Condemned[0], l.Condemned[1] = l.Condemned[1], l.Condemned[0]
		l.Last[0], l.Last[1] = l.Last[1], l.Last[0]
	}
	return m
}

// trim forgets what can have no effect any more, so that states that differ in
// that alone count as one.
func (sc *Scope) trim(s *state) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Hold >= trusted && n.Runs == 0 {
			n.Hold, n.Granted, n.Leased = never, never, false
		}
		if n.Ordered <= max(n.Done, n.Runs) {
			n.Ordered = 0
		}
	}
	if !s.Leaders[0].Leads {
		s.Past = view{Owner: nobody}
	}
	if sc.Without != DedupeOff {
		s.Reports &^= 1<<s.Epoch - 1
	}
}
