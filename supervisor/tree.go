package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// HistoryLimit is how many decisions a child remembers for `why`.
const HistoryLimit = 32

// Tree is one supervision tree: its spec, and where each child is in its life.
// It is a thread-unsafe value; one goroutine owns it. Step is the only mutation.
type Tree struct {
	spec Spec
	root *node
	// byPath holds every child, those that are leaving included.
	byPath  map[string]*node
	most    int               // children that it may come to have
	each    int               // children that have an instance on each node
	size    int               // nodes in the spec, the root included
	shape   []ChildSpec       // children of the root, instances and all
	members []Member          // of the cluster, by id; none if nothing wants each node
	scaled  map[string]Scaled // pools whose size is an operator's, by path
	// onNode indexes the lives by the node that holds them.
	onNode map[string]map[*node]bool
	// leased counts, per node, the exclusive lives that may have a process there.
	leased map[string]int
	// lenders are the children whose budget holds something back for a node.
	lenders map[*node]bool
	// stopping counts, per batch and subtree, the lives that have yet to end (see
	// mayStart).
	stopping map[batch]int
	// waiting are children whose order is held back until their turn comes.
	waiting []*node
	changed []*node

	// deps is what the tree was told of what it comes after, follows of its own paths
	// that others come after. While shut nothing starts; unbegun, nothing has since all
	// of it was last made to wait. See after.go.
	deps    []Dependency
	follows []Followed
	shut    bool
	unbegun bool

	pace     Pace
	failedAt time.Duration
	failed   bool
	deleting bool
	// rollout is the Edit under way child by child, or the last one that was reverted.
	rollout *rollout
	// waves are its parts, in the start order of their supervisors; queued counts the
	// children that wait for their turn. Derived.
	waves  []*wave
	queued int

	// Valid during one Step.
	at      Stamp
	epoch   Epoch
	out     []Decision
	scanned uint64 // number of the current release pass
}

// node is one child, worker or supervisor; the root has no spec.
type node struct {
	path     string
	spec     *ChildSpec
	parent   *node
	children []*node // of a supervisor, in start order
	strategy Strategy
	policy   RestartPolicy
	auto     AutoShutdown
	home     string // id of the node that an instance belongs to
	pos, ord int    // place among its siblings, and in the whole tree
	// exclusive: by its own spec or by that of a supervisor above.
	exclusive bool

	// window holds the times of the restarts charged to this child, oldest
	// first; pruned when the next one is charged.
	window []time.Duration
	// shared is the same of all children of a supervisor, if its scope says so.
	shared []time.Duration
	// loans and tallies are what nodes may have done to it alone; see alone.go.
	loans   []loan
	tallies []tally
	// askedUntil is until when it is not moved again for the asking; 0: it never was.
	askedUntil time.Duration
	// unsettled and ending count workers at or below this node that are not
	// where they should stay, and whose life has yet to end.
	unsettled, ending int
	// amiss counts those that are settled and neither run nor have finished (wrong).
	amiss int
	// begun is the batch in which a supervisor was last restarted as a whole; born is
	// that of its last beginning, first starts and those after a stop included.
	begun, born Epoch
	// down is set while a supervisor does not run: failed or stopped.
	down Phase
	// pause is set while an operator has it paused.
	pause *PauseStatus

	life    life
	history history
	dirty   bool // in Tree.changed
	waits   bool // in Tree.waiting

	// next is the spec that n gets at its turn in a rollout; spec has what it keeps of
	// the former one until then. watch is its turn.
	next  *ChildSpec
	watch *watch

	// What the current release pass found for a gated supervisor.
	scanned      uint64
	firstUnready int // first child that is unsettled
	lastEnding   int // last child that is still ending
}

// life is a worker's present life, or the one that is due.
type life struct {
	Phase Phase `json:"phase"`
	// Epoch of the life that starts, runs or ends, or that is due.
	Epoch Epoch  `json:"epoch,omitempty"`
	Node  string `json:"node,omitempty"`
	// Last is the node of the life before.
	Last  string   `json:"last,omitempty"`
	Avoid []string `json:"avoid,omitempty"`
	Only  string   `json:"only,omitempty"`
	// Away, of a pending one: its node is not here, and it waits where it is.
	Away bool `json:"away,omitempty"`
	// Released: the order to start was given. Halted: the order to stop was.
	// Both stay: an order once given is not taken back by a sibling's fate.
	Released bool `json:"released,omitempty"`
	Halted   bool `json:"halted,omitempty"`

	Spawned   bool          `json:"spawned,omitempty"`
	PID       int           `json:"pid,omitempty"`
	NotBefore time.Duration `json:"not_before,omitempty"`
	Delayed   bool          `json:"delayed,omitempty"`
	Start     string        `json:"start,omitempty"` // SELFWARE_START_REASON
	Since     time.Duration `json:"since,omitempty"`
	Reason    string        `json:"reason,omitempty"`

	// While stopping: Next is the batch that ordered the stop, and the epoch of
	// the life that follows if Then is pending; Stay keeps that one on Node.
	Next Epoch `json:"next,omitempty"`
	Then Phase `json:"then,omitempty"`
	Stay bool  `json:"stay,omitempty"`

	// Exclusive lives began, or are to begin, under a lease. It is of the life and
	// not of the child: a new spec does not change what runs already.
	Exclusive bool `json:"exclusive,omitempty"`
	// Generation of the cluster when the order to start was given; 0 before that.
	Generation uint64 `json:"generation,omitempty"`

	Restarts int `json:"restarts,omitempty"`
	Moves    int `json:"moves,omitempty"`
	// Crashes counts crashes in a row on one node.
	Crashes int `json:"crashes,omitempty"`
	// Alone counts the restarts of this life by its node alone, as far as it told.
	Alone int `json:"alone,omitempty"`
	// Asked: it has asked to be moved.
	Asked bool `json:"asked,omitempty"`
	// Owed, of one that waits for a resume: a life of it ended meanwhile.
	Owed bool `json:"owed,omitempty"`
}

// phaseRemoved ends a life whose child left the spec.
const phaseRemoved Phase = "removed"

// held tells whether a process of this life may exist on a node.
func (l *life) held() bool {
	return l.Phase == PhaseRunning || l.Phase == PhaseStopping || l.Phase == PhaseStarting && l.Released
}

// settled: the child is where it stays until something happens.
func (l *life) settled() bool {
	switch l.Phase {
	case PhaseRunning, PhaseFinished, PhaseFailed, PhaseStopped, PhasePaused, phaseRemoved:
		return true
	case PhasePending:
		return l.Away && !bug.On("lost-node-holds-up-others")
	}
	return false
}

// atRest: no life runs or is due.
func (l *life) atRest() bool {
	if l.Phase == PhasePaused || l.Phase == PhaseStopping && l.Then == PhasePaused {
		return false // one is due on resume
	}
	return l.settled() && !l.held() || l.Phase == PhaseStopping && l.Then != PhasePending
}

// returning: it is being stopped, and another life follows.
func (l *life) returning() bool { return l.Phase == PhaseStopping && l.Then == PhasePending }

// stopped: an operator stopped it, or it ends because one did.
func (l *life) stopped() bool {
	return l.Phase == PhaseStopped || l.Phase == PhaseStopping && l.Then == PhaseStopped
}

// NewTree checks the spec and gives a tree with no child started: the first
// Step must be Start of the tree's own path. The error names the bad child.
func NewTree(spec Spec) (*Tree, error) {
	return newTree(spec, shaping{})
}

func newTree(spec Spec, sh shaping) (*Tree, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	t := empty(spec)
	t.shape, t.scaled, t.members = sh.expand(spec).Children, sh.scaled, sh.members
	t.root = t.build(spec.Name, nil, nil, t.shape)
	t.root.strategy, t.root.policy, t.root.auto = spec.Strategy, spec.RestartPolicy, spec.AutoShutdown
	t.root.inherit(spec.Exclusive)
	t.number()
	t.gate()
	t.unbegun = t.shut
	return t, nil
}

func empty(spec Spec) *Tree {
	return &Tree{
		spec:     spec,
		byPath:   make(map[string]*node),
		onNode:   make(map[string]map[*node]bool),
		leased:   make(map[string]int),
		stopping: make(map[batch]int),
		lenders:  make(map[*node]bool),
	}
}

// build makes the nodes of a subtree, all stopped.
func (t *Tree) build(path string, parent *node, spec *ChildSpec, children []ChildSpec) *node {
	n := &node{path: path, parent: parent, spec: spec}
	n.home = t.home(parent, spec)
	n.life.Phase = PhaseStopped
	t.byPath[path] = n
	if spec != nil && spec.Supervisor != nil {
		n.strategy, n.policy, n.auto = spec.Supervisor.Strategy, spec.Supervisor.RestartPolicy, spec.Supervisor.AutoShutdown
	}
	for i := range children {
		c := &children[i]
		n.children = append(n.children, t.build(path+"/"+c.ID, n, c, c.Children))
		n.amiss += n.children[i].amiss
	}
	if n.worker() {
		n.amiss = 1
	}
	return n
}

// inherit makes n and all below it exclusive if a supervisor above is, or itself.
func (n *node) inherit(above bool) {
	n.exclusive = above || n.spec != nil && n.spec.Exclusive
	for _, c := range n.children {
		c.inherit(n.exclusive)
	}
}

// number gives every node its place among siblings and in start order.
func (t *Tree) number() {
	ord := 0
	t.root.walk(func(n *node) {
		n.ord = ord
		ord++
		for i, c := range n.children {
			c.pos = i
		}
	})
	t.size, t.most, t.each = ord, t.spec.SizeOn(len(t.members)), countEach(t.spec.Children)
}

// worker tells whether n has a process of its own.
func (n *node) worker() bool { return n.spec != nil && n.spec.Program != nil }

// walk visits n and all below it in start order.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, c := range n.children {
		c.walk(visit)
	}
}

// workers lists the workers at and below n in start order.
func (n *node) workers() []*node {
	var ws []*node
	n.walk(func(x *node) {
		if x.worker() {
			ws = append(ws, x)
		}
	})
	return ws
}

// Step applies one input and says what was concluded. ErrStale, ErrUnknown and
// ErrRefused leave the tree unchanged.
func (t *Tree) Step(in Input, at Stamp) ([]Decision, error) {
	t.at, t.epoch, t.out = at, at.Epoch(), nil
	if err := t.dispatch(in); err != nil {
		return nil, err
	}
	t.release()
	return t.out, nil
}

func (t *Tree) dispatch(in Input) error {
	switch in := in.(type) {
	case ChildEvent:
		return t.onEvent(in, true)
	case LastWord:
		return t.onEvent(ChildEvent(in), false)
	case Assign:
		return t.onAssign(in)
	case NodeLost:
		return t.onNodeLost(in)
	case Returned:
		return t.onReturned(in)
	case Drain:
		return t.onDrain(in)
	case Start:
		return t.onStart(in)
	case Stop:
		return t.onStop(in)
	case Restart:
		return t.onRestart(in)
	case Move:
		return t.onMove(in)
	case Edit:
		return t.onEdit(in)
	case Scale:
		return t.onScale(in)
	case Nodes:
		return t.onNodes(in)
	case Delete:
		return t.onDelete(in)
	case Advance:
		return t.onAdvance()
	case Rollout:
		return t.onRollout(in)
	case Reset:
		return t.onReset(in)
	case Depend:
		return t.onDepend(in)
	case Follow:
		return t.onFollow(in)
	case Pause:
		return t.onPause(in)
	case Resume:
		return t.onResume(in)
	}
	panic(fmt.Sprintf("supervisor: unknown input %T", in))
}

// find gives the node of a path.
func (t *Tree) find(path string) (*node, error) {
	if n := t.byPath[path]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %s has no %q", ErrUnknown, t.spec.Name, path)
}

// TreeName is the first part of a path.
func TreeName(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

// byOrd sorts nodes into start order; those that are leaving come last, by path.
func byOrd(a, b *node) int {
	return cmp.Or(cmp.Compare(a.ord, b.ord), cmp.Compare(a.path, b.path))
}

// livesOn lists the children that a node holds, or has been chosen for, in
// start order.
func (t *Tree) livesOn(host string) []*node {
	lives := make([]*node, 0, len(t.onNode[host]))
	for n := range t.onNode[host] { // order-free: sorted below
		lives = append(lives, n)
	}
	slices.SortFunc(lives, byOrd)
	return lives
}
