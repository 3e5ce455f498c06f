package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/memberlist"
)

// leaveTimeout is used by Leave when it is given none.
const leaveTimeout = 5 * time.Second

// updateTimeout bounds how long UpdateMeta waits for its news to be sent.
const updateTimeout = 5 * time.Second

// Gossip is this node's part in the gossip. All methods may be called from any goroutine.
type Gossip struct {
	cfg     Config
	timings Timings
	log     *slog.Logger
	table   *table
	d       *delegate
	list    *memberlist.Memberlist
	addr    string        // what we advertise
	turn    chan struct{} // held while meta changes or the end comes; a channel, because those wait
	ended   chan struct{} // closed by the end; written under turn
}

// New binds the ports and starts to answer. It contacts nobody: Run and Join do. A taken port, an address that is
// not ours or a bad configuration is an error that can be shown to the user.
func New(c Config) (*Gossip, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	meta, err := c.withMeta(c.Meta)
	if err != nil {
		return nil, err
	}
	g := &Gossip{
		cfg: c, timings: Timing(c.Profile), log: c.Logger, table: newTable(Timing(c.Profile)),
		turn: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	g.d = &delegate{table: g.table, changed: make(chan struct{}, 1), log: c.Logger}
	g.d.meta.Store(&meta)
	if g.list, err = memberlist.Create(c.memberlist(g.d, c.Logger)); err != nil {
		return nil, startError(c, err)
	}
	g.addr = g.list.LocalNode().Address()
	return g, nil
}

// Members lists all nodes known, this one included, sorted by node id: of each the newest boot.
func (g *Gossip) Members() []Member { return g.table.members(time.Now()) }

// Changed is readable when Members may have changed since it was last read. It is a level of capacity 1, for one
// reader.
func (g *Gossip) Changed() <-chan struct{} { return g.d.changed }

// Addr is the gossip address that this node tells others.
func (g *Gossip) Addr() string { return g.addr }

// UpdateMeta tells all others something new. Empty ids are filled in, other ids than this node's are refused, and
// what is too long is refused. An error that follows means that nobody took the news in time; it then spreads with
// the next full exchange.
func (g *Gossip) UpdateMeta(m Meta) error {
	encoded, err := g.cfg.withMeta(m)
	if err != nil {
		return err
	}
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.hasEnded() {
		return fmt.Errorf("cannot update this node's description: %w", ErrClosed)
	}
	g.d.meta.Store(&encoded)
	if err := g.list.UpdateNode(updateTimeout); err != nil {
		return fmt.Errorf("cannot spread this node's description: %v", err)
	}
	return nil
}

// Leave tells the others that this node goes, and ends gossip. 0 means 5 s. Gossip has ended in any case when it
// returns; an error means that the others may see a death instead. Later calls do nothing.
func (g *Gossip) Leave(timeout time.Duration) error {
	if timeout <= 0 {
		timeout = leaveTimeout
	}
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.hasEnded() {
		return nil
	}
	err := errors.Join(g.announceLeave(timeout/2), g.list.Leave(timeout/2))
	time.Sleep(2 * g.timings.GossipInterval) // the last packets must leave before the sockets close
	g.end()
	if err != nil {
		return fmt.Errorf("cannot tell the others that this node leaves: %v", err)
	}
	return nil
}

// announceLeave sets Leaving in our description, which is how others tell a leave from a death.
func (g *Gossip) announceLeave(timeout time.Duration) error {
	m, err := decodeMeta(gossipName(g.cfg.NodeID, g.cfg.BootID), *g.d.meta.Load())
	if err != nil {
		return err
	}
	m.Leaving = true
	encoded, err := m.encode()
	if err != nil {
		return err
	}
	g.d.meta.Store(&encoded)
	return g.list.UpdateNode(timeout)
}

// Shutdown ends gossip at once. The others will see a death. memberlist's last goroutines, and joins on their way,
// end within a few seconds after it; what they report is ignored.
func (g *Gossip) Shutdown() {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if !g.hasEnded() {
		g.end()
	}
}

// end stops memberlist. The caller holds turn.
func (g *Gossip) end() {
	g.d.closed.Store(true)
	if err := g.list.Shutdown(); err != nil {
		g.log.Warn("gossip: cannot shut down cleanly", "error", err)
	}
	close(g.ended)
}

func (g *Gossip) hasEnded() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}
