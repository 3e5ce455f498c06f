package cluster

import (
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
)

// replica makes raft.FSM of a fsm.Machine, and wakes who watches it. What the
// machine cannot apply or restore is fatal: a node that skips an entry would
// differ from the others.
type replica struct {
	m       *fsm.Machine
	fatal   func(error)
	applied func(index, term uint64, data []byte) // nil: nobody wants to know

	mu    sync.Mutex
	watch chan struct{} // closed at the next change
}

func newReplica(fatal func(error)) *replica {
	return &replica{m: fsm.New(), fatal: fatal, watch: make(chan struct{})}
}

// Apply is raft's; its response is a []fsm.Result.
func (r *replica) Apply(l *raft.Log) any {
	results, err := r.m.Apply(l.Index, l.Data)
	if err != nil {
		r.fatal(err)
		return err
	}
	if r.applied != nil {
		r.applied(l.Index, l.Term, l.Data)
	}
	r.wake()
	return results
}

// Watch gives a channel that is closed at the next change of the state.
func (r *replica) Watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch
}

func (r *replica) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.watch)
	r.watch = make(chan struct{})
}

// Snapshot is raft's. The state is encoded here and now, so what Persist writes
// later cannot be newer than its index.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	data, err := r.m.Snapshot()
	if err != nil {
		return nil, err
	}
	return image(data), nil
}

// Restore is raft's.
func (r *replica) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err == nil {
		err = r.m.Restore(data)
	}
	if err != nil {
		err = fmt.Errorf("cannot restore the state from a snapshot: %w", err)
		r.fatal(err)
		return err
	}
	r.wake()
	return nil
}

// image is an encoded state.
type image []byte

// Persist writes it to a snapshot sink.
func (i image) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(i); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release has nothing to release.
func (i image) Release() {}
