package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// snapshot is the state as plain data, everything in a fixed order.
type snapshot struct {
	Schema     uint8              `cbor:"1,keyasint"`
	ClusterID  string             `cbor:"2,keyasint"`
	Generation uint64             `cbor:"3,keyasint"`
	Index      uint64             `cbor:"4,keyasint"`
	Clock      time.Duration      `cbor:"5,keyasint"`
	Wall       int64              `cbor:"6,keyasint"`
	Nodes      []*Node            `cbor:"7,keyasint"`
	Trees      []supervisor.State `cbor:"8,keyasint"`
	Records    []Record           `cbor:"9,keyasint"`
	Requests   []request          `cbor:"10,keyasint"`
	// The place of the last record that is forgotten; 0 if none is.
	LostIndex uint64 `cbor:"11,keyasint,omitempty"`
	LostN     int    `cbor:"12,keyasint,omitempty"`
	// Quarantine is View.Quarantine.
	Quarantine time.Duration `cbor:"13,keyasint,omitempty"`
	Storm      time.Duration `cbor:"14,keyasint,omitempty"`
	Faults     []fault       `cbor:"15,keyasint,omitempty"`
	Circuits   []circuit     `cbor:"16,keyasint,omitempty"`
}

// Snapshot encodes the whole state. It is consistent: Apply waits.
func (m *Machine) Snapshot() ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.s.encode()
}

// Hash is the SHA-256 of the canonical state, and the index it belongs to.
// Replicas at the same index have the same hash (P9).
func (m *Machine) Hash() (uint64, string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	hash, err := m.s.hash()
	return m.s.index, hash, err
}

func (s *state) hash() (string, error) {
	data, err := s.encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func (s *state) encode() ([]byte, error) {
	lost := s.forgotten()
	snap := snapshot{
		Schema: Schema, ClusterID: s.clusterID, Generation: s.generation, Index: s.index, Clock: s.clock,
		Wall: s.wall, Records: s.kept(), Requests: s.requests, Storm: s.storm,
		LostIndex: lost.index, LostN: lost.n, Quarantine: s.quarantine,
	}
	for _, id := range s.nodeIDs() {
		snap.Nodes = append(snap.Nodes, s.nodes[id])
	}
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		snap.Trees = append(snap.Trees, s.trees[name].State())
	}
	for _, path := range slices.Sorted(maps.Keys(s.faults)) {
		snap.Faults = append(snap.Faults, s.faults[path])
	}
	for _, id := range slices.Sorted(maps.Keys(s.circuits)) {
		snap.Circuits = append(snap.Circuits, s.circuits[id])
	}
	return encMode.Marshal(snap)
}

// Restore replaces the whole state, or, on an error, nothing.
func (m *Machine) Restore(data []byte) error {
	s, err := load(data)
	if err != nil && !bug.On("restore-partial") {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.s, m.sums = s, sums{}
	return nil
}

func load(data []byte) (state, error) {
	var snap snapshot
	s := newState()
	if err := decMode.Unmarshal(data, &snap); err != nil {
		return s, fmt.Errorf("cannot decode a snapshot: %w", err)
	}
	if snap.Schema != Schema {
		return s, fmt.Errorf("cannot restore a snapshot of schema %d: this build knows %d", snap.Schema, Schema)
	}
	s.clusterID, s.generation, s.index, s.clock = snap.ClusterID, snap.Generation, snap.Index, snap.Clock
	s.wall, s.records, s.requests = snap.Wall, snap.Records, snap.Requests
	s.lost, s.quarantine, s.storm = mark{snap.LostIndex, snap.LostN}, snap.Quarantine, snap.Storm
	for _, n := range snap.Nodes {
		if n == nil {
			return s, errors.New("cannot restore a snapshot: it holds an empty node record")
		}
		s.nodes[n.ID] = n
	}
	for _, ts := range snap.Trees {
		t, err := supervisor.FromState(ts)
		if err != nil {
			return s, err
		}
		s.trees[t.Name()] = t
		s.follow(t)
	}
	s.regraph() // what was told is in the trees; to look again tells nothing new
	for _, f := range snap.Faults {
		s.setFault(f)
	}
	for _, c := range snap.Circuits {
		if len(c.Lives) != len(c.State.Trials) {
			return s, fmt.Errorf("cannot restore a snapshot: the circuit of node %s has %d trials and %d lives", c.Node, len(c.State.Trials), len(c.Lives))
		}
		s.circuits[c.Node] = c
	}
	s.nodesChanged = true
	return s, nil
}

// Successor makes of an older snapshot one that may follow the present state:
// its clock does not go back and its generation is new, so epochs made after it
// can never equal ones made before (P1). No node's boot is known in it: each must
// say what it holds, and lives that are not there any more begin anew, uncharged.
// Exclusive lives that only the discarded time knows of have ended, for want of a
// lease, when wait has passed since now, which is cluster time: so long no lease
// is granted. The caller grants none from now until the restore is done.
func (m *Machine) Successor(data []byte, now, wait time.Duration) ([]byte, error) {
	s, err := load(data)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s.clusterID != m.s.clusterID {
		return nil, fmt.Errorf("cannot restore a snapshot of cluster %q: this is %q", s.clusterID, m.s.clusterID)
	}
	s.clock = max(s.clock, m.s.clock, now)
	s.quarantine = max(s.quarantine, m.s.quarantine)
	if bug.On("epoch-reuse-after-restore") {
		return s.encode()
	}
	s.begin(max(s.generation, m.s.generation)+1, wait)
	return s.encode()
}

// Raise gives the state a new generation, for a forced recovery (P1), as Successor
// does for a restore: it cannot know what the lost nodes decided last. Cluster time
// stands still until there is a leader, so wait begins with the first one.
func (m *Machine) Raise(wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.s.begin(Recovered(m.s.generation), wait)
}

// recoveryStep is the distance of the generations of two forced recoveries.
const recoveryStep = 1000

// Recovered is the generation that a forced recovery makes of one. It leaves a gap:
// the node that is recovered may have missed restores, each a generation, which the
// majority that is lost went through without it.
func Recovered(generation uint64) uint64 { return (generation/recoveryStep + 1) * recoveryStep }

// begin starts a generation. No node's boot is known in it.
func (s *state) begin(generation uint64, wait time.Duration) {
	s.generation, s.nodesChanged = generation, true
	if !bug.On("quarantine-skipped") {
		s.quarantine = max(s.quarantine, s.clock+wait)
	}
	for id, n := range s.nodes { // order-free: each is changed alone
		next := *n
		next.Boot = ""
		s.nodes[id] = &next
	}
}
