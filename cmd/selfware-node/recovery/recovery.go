package recovery

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/node"
)

// Voter is a server of raft's configuration.
type Voter struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

// Dir is what one data dir holds.
type Dir struct {
	Path    string  `json:"path"`
	Node    string  `json:"node,omitempty"` // its name
	ID      string  `json:"id,omitempty"`
	Cluster string  `json:"cluster,omitempty"`
	Index   uint64  `json:"index"` // last one that log and snapshot reach
	Term    uint64  `json:"term"`  // of the last entry
	Voters  []Voter `json:"voters,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// State is what a cluster would go on with.
type State struct {
	Generation uint64     `json:"generation"`
	Nodes      []string   `json:"nodes"`
	Trees      []TreeSize `json:"trees"`
}

// TreeSize is a tree and how many children it has.
type TreeSize struct {
	Name     string `json:"name"`
	Children int    `json:"children"`
}

// Report is what the given dirs show.
type Report struct {
	// Dirs as given; the first is the one to recover.
	Dirs []Dir `json:"dirs"`
	// Furthest is the path of the dir that reaches furthest.
	Furthest string `json:"furthest"`
	// Missing are voters of the first dir's configuration whose dirs were not
	// given, or cannot be read.
	Missing []Voter `json:"missing"`
	State   State   `json:"state"`
}

// Read reads data dirs of stopped nodes. It changes nothing. The first dir must
// be readable, and that of a voter.
func Read(dirs []string) (Report, error) {
	var r Report
	for _, path := range dirs {
		r.Dirs = append(r.Dirs, readDir(path))
	}
	first := r.Dirs[0]
	if first.Error != "" {
		return r, fmt.Errorf("cannot recover %s: %s", first.Path, first.Error)
	}
	if _, err := first.address(); err != nil {
		return r, err
	}
	best := first
	for _, d := range r.Dirs[1:] {
		if d.Error == "" && d.Cluster != first.Cluster {
			return r, fmt.Errorf("cannot recover %s of cluster %s: %s is of cluster %s", first.Path, first.Cluster, d.Path, d.Cluster)
		}
		if d.Error == "" && further(d, best) {
			best = d
		}
	}
	r.Furthest = best.Path
	for _, v := range first.Voters {
		if !slices.ContainsFunc(r.Dirs, func(d Dir) bool { return d.Error == "" && d.ID == v.ID }) {
			r.Missing = append(r.Missing, v)
		}
	}
	var err error
	r.State, err = readState(first.Path)
	return r, err
}

// further compares logs as raft does: the later term, then the longer log.
func further(a, b Dir) bool {
	return cmp.Or(cmp.Compare(a.Term, b.Term), cmp.Compare(a.Index, b.Index)) > 0
}

func readDir(path string) Dir {
	d := Dir{Path: path}
	s, err := node.Load(path)
	if err != nil {
		d.Error = err.Error()
		return d
	}
	d.Node, d.ID, d.Cluster = s.Name, s.ID, s.ClusterID
	info, err := raftstore.Inspect(filepath.Join(path, "raft"))
	if err != nil {
		d.Error = err.Error()
		return d
	}
	d.Index, d.Term = info.Reach(), info.LastTerm
	for _, v := range info.Configuration.Servers {
		d.Voters = append(d.Voters, Voter{string(v.ID), string(v.Address)})
	}
	return d
}

// address is the one that the node has in its own configuration.
func (d Dir) address() (string, error) {
	for _, v := range d.Voters {
		if v.ID == d.ID {
			return v.Address, nil
		}
	}
	return "", fmt.Errorf("cannot recover %s: node %s is no voter, it does not hold the whole state; give the data dir of one of %s", d.Path, d.Node, names(d.Voters))
}

func names(voters []Voter) string {
	if len(voters) == 0 {
		return "the voters"
	}
	var ids []string
	for _, v := range voters {
		ids = append(ids, v.ID)
	}
	return strings.Join(ids, ", ")
}

func readState(dir string) (State, error) {
	st := State{Nodes: []string{}, Trees: []TreeSize{}}
	store, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(dir, "raft")})
	if err != nil {
		return st, fmt.Errorf("cannot read %s: %w", dir, err)
	}
	m, err := cluster.Replay(store)
	if err = errors.Join(err, store.Close()); err != nil {
		return st, fmt.Errorf("cannot read the state in %s: %w", dir, err)
	}
	m.View(func(v fsm.View) {
		st.Generation = v.Generation()
		for _, n := range v.Nodes() {
			st.Nodes = append(st.Nodes, fmt.Sprintf("%s (%s)", n.Name, n.State))
		}
		for _, name := range v.TreeNames() {
			size := 0
			for _, ch := range v.Tree(name).Children() {
				if !ch.Supervisor {
					size++
				}
			}
			st.Trees = append(st.Trees, TreeSize{name, size})
		}
	})
	return st, nil
}

// Check says why it would be wrong to recover the first dir.
func (r Report) Check() error {
	first := r.Dirs[0]
	readable := len(first.Voters) - len(r.Missing)
	switch {
	case len(first.Voters) == 1:
		return fmt.Errorf("node %s is the only voter already: nothing is lost; run it: selfware-node run --data %s", first.Node, first.Path)
	case readable > len(first.Voters)/2:
		return fmt.Errorf("these dirs hold %d of the %d voters, a majority: start those nodes instead, and nothing is lost; --force recovers all the same", readable, len(first.Voters))
	case r.Furthest != first.Path:
		return fmt.Errorf("%s reaches further than %s: recover that one, or add --force to lose what only it has", r.Furthest, first.Path)
	}
	return nil
}

// Print shows a report and what would be lost.
func (r Report) Print(w io.Writer) {
	first := r.Dirs[0]
	for _, d := range r.Dirs {
		if d.Error != "" {
			fmt.Fprintf(w, "%s: cannot be read: %s\n", d.Path, d.Error)
			continue
		}
		mark := ""
		if d.Path == r.Furthest && len(r.Dirs) > 1 {
			mark = "  <- reaches furthest"
		}
		fmt.Fprintf(w, "%s: node %s, last index %d of term %d%s\n", d.Path, d.ID, d.Index, d.Term, mark)
	}
	fmt.Fprintf(w, "voters of cluster %s: %s\n", first.Cluster, names(first.Voters))
	for _, v := range r.Missing {
		fmt.Fprintf(w, "  not here: %s at %s\n", v.ID, v.Address)
	}
	fmt.Fprintf(w, "the state in %s: generation %d\n  nodes: %s\n  trees:", first.Path, r.State.Generation, strings.Join(r.State.Nodes, ", "))
	for _, t := range r.State.Trees {
		fmt.Fprintf(w, " %s (%d children)", t.Name, t.Children)
	}
	if len(r.State.Trees) == 0 {
		fmt.Fprint(w, " none")
	}
	fmt.Fprintf(w, "\nIf node %s is made the only voter:\n", first.Node)
	fmt.Fprintf(w, "  - what the others acknowledged after index %d is lost; what is in this log becomes final, acknowledged or not\n", first.Index)
	fmt.Fprint(w, "  - all other nodes must be stopped first, and join again with empty data dirs\n")
	fmt.Fprintf(w, "  - the generation becomes %d, so no epoch of before is used again\n", fsm.Recovered(r.State.Generation))
}

// Write makes the node of the first dir the only voter of its cluster.
func (r Report) Write() error {
	d := r.Dirs[0]
	addr, err := d.address()
	if err != nil {
		return err
	}
	store, err := raftstore.Open(raftstore.Config{Dir: filepath.Join(d.Path, "raft")})
	if err != nil {
		return err
	}
	return errors.Join(cluster.Recover(store, d.ID, addr), store.Close())
}
