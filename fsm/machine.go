package fsm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// Limits of the state (P15).
const (
	MaxNodes    = 10_000
	MaxTrees    = 1_000
	MaxLives    = 200_000 // children of all trees, those that are leaving among them
	MaxRecords  = 8_192   // of the event stream; older ones are forgotten
	MaxRequests = 4_096   // request ids remembered
)

// Errors of a Result, besides those of package supervisor.
var (
	// ErrUnknownNode: no node of that name or id.
	ErrUnknownNode = errors.New("unknown node")
	// ErrLeft: the node has left the cluster for good.
	ErrLeft = errors.New("has left the cluster")
	// ErrUnknownTree: no tree of that name.
	ErrUnknownTree = errors.New("unknown tree")
	// ErrChanged: the tree is not as the request says it must be.
	ErrChanged = errors.New("not as expected")
)

// Result answers one command.
type Result struct {
	Index     uint64
	Err       error
	Decisions []supervisor.Decision
}

// Machine holds the state. Apply has one caller; readers may be many.
type Machine struct {
	mu   sync.RWMutex
	s    state
	sums sums
}

// state is everything replicated, and what is derived from it.
type state struct {
	clusterID  string
	generation uint64
	index      uint64
	clock      time.Duration
	wall       int64
	nodes      map[string]*Node
	trees      map[string]*supervisor.Tree
	records    []Record
	lost       mark // of the stream, before records
	quarantine time.Duration
	requests   []request
	storm      time.Duration      // when the restarts of before have had their time, see pace
	faults     map[string]fault   // by path
	circuits   map[string]circuit // by node id

	// Derived: what every path has of a node, and what waits for one.
	places  map[string]place
	where   map[string]string          // path -> node
	apart   map[string][]string        // path -> paths it is apart from
	against map[string]map[string]bool // node id -> paths of faults that are no child's
	used    map[string]Used
	pending map[string]bool
	changed map[string]bool // paths, since TakeChanged
	// graph is which trees come after which; stirred are those whose neighbours may have to
	// be told of them, at the end of the entry (after.go).
	graph   graph
	stirred map[string]bool
	// nodesChanged: a node's record changed since TakeChanged.
	nodesChanged bool

	pos uint16 // of the input at hand within its entry
}

// request remembers the answer to a user's request.
type request struct {
	ID   string `cbor:"1,keyasint"`
	Code string `cbor:"2,keyasint,omitempty"`
	Text string `cbor:"3,keyasint,omitempty"`
}

// New gives an empty machine.
func New() *Machine { return &Machine{s: newState()} }

func newState() state {
	return state{
		nodes: make(map[string]*Node), trees: make(map[string]*supervisor.Tree),
		places: make(map[string]place), used: make(map[string]Used),
		where: make(map[string]string), apart: make(map[string][]string),
		pending: make(map[string]bool), changed: make(map[string]bool),
		faults: make(map[string]fault), circuits: make(map[string]circuit), against: make(map[string]map[string]bool),
		graph: graphOf(nil), stirred: make(map[string]bool),
	}
}

// Apply applies the entry at a log index and answers each of its commands. An
// error means that this build cannot apply the entry, or that this replica is not
// equal to the others (Diverged): nothing changed, and the node must stop.
func (m *Machine) Apply(index uint64, data []byte) ([]Result, error) {
	e, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("log index %d: %w", index, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.sums.compare(e.Commands); err != nil {
		return nil, err
	}
	s := &m.s
	before := s.clock
	s.index, s.wall, s.pos = index, e.Wall, 0
	s.clock = max(s.clock, e.Time)
	if bug.On("wall-clock-window") {
		s.clock = time.Duration(e.Wall) * time.Millisecond
	}
	s.pass(before)
	results := make([]Result, len(e.Commands))
	for i := range e.Commands {
		results[i] = s.run(&e.Commands[i])
		results[i].Index = index
	}
	s.propagate(&e)
	if err := m.remember(e.Commands); err != nil {
		return nil, err
	}
	return results, nil
}

// run applies one command, or repeats the answer to a request seen before.
func (s *state) run(c *Command) Result {
	if c.Request == "" {
		return s.do(c)
	}
	for _, r := range s.requests {
		if r.ID == c.Request && !bug.On("request-done-twice") {
			return Result{Err: r.err()}
		}
	}
	res := s.do(c)
	if len(s.requests) >= MaxRequests {
		s.requests = slices.Delete(s.requests, 0, len(s.requests)-MaxRequests+1)
	}
	s.requests = append(s.requests, remember(c.Request, res.Err))
	return res
}

func (s *state) do(c *Command) Result {
	switch c.Type {
	case TypeInit:
		return s.init(c.Init)
	case TypeEvents:
		return s.events(c.Events)
	case TypeAssign:
		return s.assign(c.Assign)
	case TypeNodeUp:
		return s.nodeUp(c.Up)
	case TypeNodeLost:
		return s.nodeLost(c.Node)
	case TypeNodeLeft:
		return s.nodeLeft(c.Node)
	case TypeNodeFenced:
		return s.nodeFenced(c.Node)
	case TypeDrain:
		return s.drain(c.Node, c.By)
	case TypeApplyTree:
		return s.applyTree(c)
	case TypeDeleteTree:
		return s.deleteTree(c)
	case TypeVerb:
		return s.verb(c.Verb, c.By)
	case TypeScale:
		return s.scale(c.Scale, c.By)
	case TypeReturned:
		return s.returned(c.Node)
	case TypeNodeHealth:
		return s.nodeHealth(c.Node, *c.Health)
	case TypeChecksum:
		return Result{} // it changes nothing; see checksum.go
	}
	panic(fmt.Sprintf("fsm: command type %d passed decode", c.Type))
}

func (s *state) init(in *Init) Result {
	if s.clusterID != "" && s.clusterID != in.ClusterID {
		return Result{Err: fmt.Errorf("%w: this is cluster %s", supervisor.ErrRefused, s.clusterID)}
	}
	s.clusterID = in.ClusterID
	s.generation = max(s.generation, in.Generation, 1)
	return Result{}
}

// step hands one input to a tree, under a stamp of its own.
func (s *state) step(t *supervisor.Tree, in supervisor.Input) ([]supervisor.Decision, error) {
	ds, err := s.stepHere(t, in)
	s.pos++
	return ds, err
}

// stepHere is step without the advance: the trees may share a stamp, the inputs
// of one tree may not.
func (s *state) stepHere(t *supervisor.Tree, in supervisor.Input) ([]supervisor.Decision, error) {
	t.SetPace(s.pace)
	ds, err := t.Step(in, supervisor.Stamp{Index: s.index, Pos: s.pos, Time: s.clock, Generation: s.generation})
	for i := range ds {
		s.record(Record{Kind: KindDecision, Decision: &ds[i], Sentence: ds[i].Sentence})
	}
	s.stir(t.Name())
	s.follow(t)
	return ds, err
}

// eachTree steps every tree, by name, under one stamp: a command takes one
// position in its entry, however many trees there are (see Entry.fits).
func (s *state) eachTree(in supervisor.Input) []supervisor.Decision {
	var all []supervisor.Decision
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		ds, _ := s.stepHere(s.trees[name], in) // node inputs have no errors that matter here
		all = append(all, ds...)
	}
	s.pos++
	return all
}

// follow keeps what is derived from a tree true, path by changed path, and drops
// the tree once it is deleted and gone.
func (s *state) follow(t *supervisor.Tree) {
	for _, path := range t.Changed() {
		s.place(t, path)
		s.changed[path] = true
	}
	if t.Gone() {
		delete(s.trees, t.Name())
		if s.graph.has(t.Name()) {
			s.regraph()
		}
		s.record(Record{Kind: KindTree, Sentence: fmt.Sprintf("tree %s is deleted", t.Name())})
	}
}

// place keeps the use of nodes and the list of the unplaced true for one path.
func (s *state) place(t *supervisor.Tree, path string) {
	if old, ok := s.places[path]; ok {
		s.use(old, -1)
		delete(s.places, path)
		delete(s.where, path)
		delete(s.apart, path)
	}
	if host, p, ok := t.Placed(path); ok {
		taken := place{node: host, cpu: p.CPU, memory: p.Memory}
		s.use(taken, +1)
		s.places[path], s.where[path] = taken, host
		if len(p.ApartFrom) > 0 {
			s.apart[path] = p.ApartFrom
		}
	}
	if _, ok := t.Request(path); ok {
		s.pending[path] = true
	} else {
		delete(s.pending, path)
	}
}

// use adds a place to what its node has in use, or takes it away.
func (s *state) use(p place, sign int) {
	u := s.used[p.node]
	u.CPU += int64(sign) * p.cpu
	u.Memory += int64(sign) * p.memory
	if u.Children += sign; u.Children == 0 {
		delete(s.used, p.node)
		return
	}
	s.used[p.node] = u
}

func (s *state) events(events []supervisor.ChildEvent) Result {
	var res Result
	for _, ev := range events {
		t := s.trees[supervisor.TreeName(ev.Path)]
		if t == nil {
			continue // of a tree that is gone
		}
		host, in := s.where[ev.Path], supervisor.Input(ev)
		if n := s.nodes[host]; host != "" && (n == nil || n.State != NodeAlive) {
			in = supervisor.LastWord(ev)
		}
		ds, err := s.step(t, in)
		if crashed(ds, ev.Path) {
			s.blame(host, ev)
		}
		if err != nil && !errors.Is(err, supervisor.ErrStale) && !errors.Is(err, supervisor.ErrUnknown) {
			res.Err = err
		}
		res.Decisions = append(res.Decisions, ds...)
	}
	return res
}

func (s *state) assign(assigns []supervisor.Assign) Result {
	var res Result
	for _, a := range assigns {
		t, n := s.trees[supervisor.TreeName(a.Path)], s.nodes[a.Node]
		if t == nil || n == nil || !n.Eligible() {
			continue // the leader will choose again from the newer state
		}
		ds, err := s.step(t, a)
		if err == nil {
			s.admit(a.Node, supervisor.Ref{Path: a.Path, Epoch: a.Epoch})
		}
		if err != nil && !errors.Is(err, supervisor.ErrStale) && !errors.Is(err, supervisor.ErrUnknown) {
			res.Err = err
		}
		res.Decisions = append(res.Decisions, ds...)
	}
	return res
}
