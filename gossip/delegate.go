package gossip

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate receives memberlist's callbacks. They run under memberlist's locks and may come after Shutdown: each
// only writes to the table and signals, and none calls into memberlist.
type delegate struct {
	table   *table
	changed chan struct{}
	log     *slog.Logger
	meta    atomic.Pointer[[]byte] // encoded, what this node says of itself
	closed  atomic.Bool
}

// signal makes Changed readable. It never blocks.
func (d *delegate) signal() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// NodeMeta returns our description; its size was checked when it was set.
func (d *delegate) NodeMeta(int) []byte { return *d.meta.Load() }

// NotifyAlive refuses nodes whose description does not fit their name.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	_, err := decodeMeta(n.Name, n.Meta)
	return err
}

// NotifyJoin: a boot is alive, for the first time or again.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.seen(n) }

// NotifyUpdate: a boot has new meta data.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.seen(n) }

func (d *delegate) seen(n *memberlist.Node) {
	m, err := decodeMeta(n.Name, n.Meta)
	if err != nil || d.closed.Load() {
		return // NotifyAlive has refused it already
	}
	d.table.seen(m, n.Address(), time.Now())
	d.signal()
}

// NotifyLeave: a boot was given up or has left. Suspect turns to dead later, which is a change too.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	if d.closed.Load() {
		return
	}
	d.table.lost(n.Name, time.Now())
	d.signal()
	time.AfterFunc(d.table.confirm, d.signal)
}

// NotifyConflict: two processes claim one gossip name. Boot ids are random, so the second is a copy of the first.
func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	m, err := decodeMeta(existing.Name, existing.Meta)
	if err != nil || d.closed.Load() {
		return
	}
	d.table.clash(m.NodeID, time.Now())
	d.log.Error("gossip: two processes use one boot id", "node", m.NodeID, "addr", existing.Address(), "other", other.Address())
	d.signal()
}

// memberlist's user messages and user state are not used.

func (d *delegate) NotifyMsg([]byte)                {}
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}
