package replay

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/supervisor"
)

// Config says what to replay.
type Config struct {
	// Dir is the data dir of a stopped node, or Log the raft.db in one or beside its
	// snapshots.
	Dir, Log string
	// Policy, if set, is a tree whose policies are tried on the one of its name.
	Policy *supervisor.Spec
}

// Report is what was decided, and what would have been.
type Report struct {
	// Snapshot is the entry whose state the log follows; 0 if it is there from its
	// beginning. Last is the last entry.
	Snapshot uint64 `json:"snapshot"`
	Last     uint64 `json:"last"`
	Entries  int    `json:"entries"`
	Lines    []Line `json:"lines"`
	// Tree whose policies were others; empty if none. Departures are its children that
	// would have fared otherwise, in the order in which they depart.
	Tree       string      `json:"tree,omitempty"`
	Departures []Departure `json:"departures,omitempty"`
}

// Mark tells the lines of a comparison apart.
type Mark string

const (
	Same   Mark = ""  // decided, and would be
	Was    Mark = "-" // decided, and would not be
	Would  Mark = "+" // not decided, and would be
	Beyond Mark = "?" // decided, after the child's first difference: not compared
)

// Line is one record of the event stream.
type Line struct {
	Mark     Mark               `json:"mark,omitempty"`
	Index    uint64             `json:"index"`
	Time     time.Duration      `json:"time"` // cluster time
	Wall     int64              `json:"wall"` // the leader's, in Unix milliseconds
	Verdict  supervisor.Verdict `json:"verdict,omitempty"`
	Path     string             `json:"path,omitempty"`
	Node     string             `json:"node,omitempty"`
	Sentence string             `json:"sentence"`
}

// Departure is where a child would first have fared otherwise.
type Departure struct {
	Path  string `json:"path"`
	Index uint64 `json:"index"`
}

// Read replays a log. It changes nothing on disk but a temporary copy.
func Read(cfg Config) (Report, error) {
	dir, err := folder(cfg)
	if err != nil {
		return Report{}, err
	}
	tmp, err := os.MkdirTemp("", "selfware-replay-")
	if err != nil {
		return Report{}, fmt.Errorf("cannot replay %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := raftstore.Copy(dir, tmp); err != nil {
		if errors.Is(err, raftstore.ErrInUse) {
			err = fmt.Errorf("%w; stop its node first", err)
		}
		return Report{}, fmt.Errorf("cannot replay: %w", err)
	}
	store, err := raftstore.Open(raftstore.Config{Dir: tmp})
	if err != nil {
		return Report{}, fmt.Errorf("cannot replay %s: %w", dir, err)
	}
	defer store.Close()
	p := &player{m: fsm.New(), policy: cfg.Policy, apart: make(map[string]bool)}
	if err := cluster.ReadLog(store, p.m, math.MaxUint64, p.entry); err != nil {
		return p.Report, fmt.Errorf("cannot replay %s: %w", dir, err)
	}
	p.name()
	return p.Report, p.check()
}

// name calls nodes by their names, as far as they are known at the end.
func (p *player) name() {
	var pairs []string
	p.m.View(func(v fsm.View) {
		for _, n := range v.Nodes() {
			if !n.Succeeded {
				pairs = append(pairs, n.ID, n.Name)
			}
		}
	})
	names := strings.NewReplacer(pairs...)
	for i := range p.Lines {
		l := &p.Lines[i]
		l.Node, l.Sentence = names.Replace(l.Node), names.Replace(l.Sentence)
	}
}

// folder is where the store is.
func folder(cfg Config) (string, error) {
	if cfg.Log == "" {
		_, err := node.Load(cfg.Dir)
		return filepath.Join(cfg.Dir, "raft"), err
	}
	if filepath.Base(cfg.Log) != "raft.db" {
		return "", fmt.Errorf("cannot replay %s: a log is a file raft.db, beside its folder snapshots if it has one", cfg.Log)
	}
	return filepath.Dir(cfg.Log), nil
}

// player feeds one machine, and with another policy a second one.
type player struct {
	Report
	m      *fsm.Machine
	told   place
	begun  bool
	policy *supervisor.Spec
	// other is the machine of the other policy. apart are children that are compared
	// no more.
	other     *fsm.Machine
	otherTold place
	apart     map[string]bool
	tried     bool // the tree was there
}

// place is one in the stream of records.
type place struct {
	index uint64
	n     int
}

func (p *player) entry(index uint64, data []byte) error {
	if !p.begun {
		if err := p.begin(); err != nil {
			return err
		}
	}
	if _, err := p.m.Apply(index, data); err != nil {
		return err
	}
	p.Last, p.Entries = index, p.Entries+1
	was := since(p.m, &p.told)
	if p.other == nil {
		for _, r := range was {
			p.Lines = append(p.Lines, lineOf(r, Same))
		}
		return nil
	}
	if err := p.otherwise(index, data); err != nil {
		return err
	}
	p.compare(index, was, since(p.other, &p.otherTold))
	return nil
}

// begin starts from the snapshot, if there is one.
func (p *player) begin() error {
	p.begun = true
	p.m.View(func(v fsm.View) { p.Snapshot = v.Index() })
	since(p.m, &p.told) // it was decided before
	if p.policy == nil {
		return nil
	}
	p.Tree, p.other = p.policy.Name, fsm.New()
	state, err := p.m.Snapshot()
	if err == nil && p.Snapshot > 0 {
		err = p.other.Restore(state)
	}
	if err == nil {
		err = p.editNow()
	}
	since(p.other, &p.otherTold)
	return err
}

// editNow gives the tree that the snapshot has the other policies.
func (p *player) editNow() error {
	var now *supervisor.Spec
	p.m.View(func(v fsm.View) {
		if t := v.Tree(p.Tree); t != nil {
			spec := t.Spec()
			now = &spec
		}
	})
	if now == nil {
		return nil
	}
	var e fsm.Entry
	e.Commands = []fsm.Command{{Type: fsm.TypeApplyTree, Tree: now}}
	return p.applyOther(p.Snapshot, e)
}

// otherwise applies an entry as it would be with the other policies.
func (p *player) otherwise(index uint64, data []byte) error {
	e, err := fsm.DecodeEntry(data)
	if err != nil {
		return err
	}
	return p.applyOther(index, e)
}

func (p *player) applyOther(index uint64, e fsm.Entry) error {
	var cmds []fsm.Command
	for _, c := range e.Commands {
		switch {
		case c.Type == fsm.TypeChecksum:
			continue // it is of the state that was
		case c.Type == fsm.TypeApplyTree && c.Tree.Name == p.Tree:
			tree := withPolicies(*c.Tree, *p.policy)
			c.Tree, p.tried = &tree, true
			if err := tree.Validate(); err != nil {
				return fmt.Errorf("the tree of log index %d does not go with these policies: %w", index, err)
			}
		}
		c.If = "" // the tag is of the tree that was
		cmds = append(cmds, c)
	}
	e.Commands = cmds
	data, err := e.Encode()
	if err == nil {
		_, err = p.other.Apply(index, data)
	}
	return err
}

// check refuses a comparison that never was one.
func (p *player) check() error {
	if p.Entries == 0 {
		return fmt.Errorf("cannot replay: the log holds no command after its snapshot")
	}
	if p.policy != nil && !p.tried {
		var names []string
		p.m.View(func(v fsm.View) { names = v.TreeNames() })
		return fmt.Errorf("cannot compare: the log has no tree %q; at its end there are: %s", p.Tree, strings.Join(names, ", "))
	}
	return nil
}

// since gives what was recorded after a place, and moves that on.
func since(m *fsm.Machine, told *place) (records []fsm.Record) {
	m.View(func(v fsm.View) { records, _ = v.Records(told.index, told.n, math.MaxInt32) })
	if len(records) > 0 {
		last := records[len(records)-1]
		*told = place{last.Index, last.N}
	}
	return records
}

func lineOf(r fsm.Record, mark Mark) Line {
	l := Line{Mark: mark, Index: r.Index, Time: r.Time, Wall: r.Wall, Node: r.Node, Sentence: r.Sentence}
	if d := r.Decision; d != nil {
		l.Verdict, l.Path, l.Node = d.Verdict, d.Path, d.Node
	}
	return l
}

// withPolicies gives a tree the policies of another one of its name, child by child.
func withPolicies(tree, other supervisor.Spec) supervisor.Spec {
	tree.Strategy, tree.RestartPolicy, tree.RetryAfter = other.Strategy, other.RestartPolicy, other.RetryAfter
	tree.Children = childrenWith(tree.Children, other.Children)
	return tree
}

func childrenWith(children, others []supervisor.ChildSpec) []supervisor.ChildSpec {
	byID := make(map[string]supervisor.ChildSpec, len(others))
	for _, o := range others {
		byID[o.ID] = o
	}
	out := make([]supervisor.ChildSpec, len(children))
	for i, c := range children {
		o, ok := byID[c.ID]
		if ok && (c.Supervisor == nil) == (o.Supervisor == nil) {
			c.RestartType, c.MaxRestarts, c.MoveAfter, c.Supervisor = o.RestartType, o.MaxRestarts, o.MoveAfter, o.Supervisor
			c.Children = childrenWith(c.Children, o.Children)
			if c.Pool != nil && o.Pool != nil {
				pool := *c.Pool
				pool.RestartPolicy = o.Pool.RestartPolicy
				c.Pool = &pool
			}
		}
		out[i] = c
	}
	return out
}
