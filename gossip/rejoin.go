package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxSeeds      = 8               // seeds contacted per round
	maxDead       = 8               // dead members contacted per round
	maxIPs        = 8               // addresses used of one DNS name
	aloneRetry    = time.Second     // between rounds while no other node is known alive
	lookupTimeout = 5 * time.Second // of resolving one DNS name
)

// Run joins through the seeds and keeps contacting seeds and dead members, every 10 s give or take a fifth, so that
// any partition heals; while a join fails and nobody else is alive, every second. It blocks until Leave or Shutdown, or until ctx ends, which shuts gossip down as a death;
// call Leave first to part in peace. It returns nil in all these cases. Joins on their way when it returns end by
// themselves within two TCPTimeouts.
func (g *Gossip) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer g.Shutdown()
	last := ""
	known := map[string]bool{}
	for {
		err := g.rejoin(ctx)
		if ctx.Err() == nil && !g.hasEnded() {
			last = g.report(last, err)
		}
		g.reportConflicts(known)
		pause := g.timings.Rejoin*4/5 + rand.N(g.timings.Rejoin*2/5)
		if err != nil && g.alone() {
			// Nodes that start together must not wait for the next round.
			pause = aloneRetry/2 + rand.N(aloneRetry)
		}
		select {
		case <-time.After(pause):
		case <-g.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// alone tells whether no other node is alive in this node's view.
func (g *Gossip) alone() bool {
	return !slices.ContainsFunc(g.Members(), func(m Member) bool {
		return m.State == Alive && m.NodeID != g.cfg.NodeID
	})
}

// report logs a round's failure once, not every 10 s, and its end.
func (g *Gossip) report(last string, err error) string {
	switch {
	case err == nil && last != "":
		g.log.Info("gossip: joined")
		return ""
	case err == nil || err.Error() == last:
		return last
	}
	g.log.Warn("gossip: cannot reach some nodes; trying on", "error", oneLine(err.Error()))
	return err.Error()
}

// reportConflicts logs each conflict when it begins, and wakes the reader of Changed.
func (g *Gossip) reportConflicts(known map[string]bool) {
	for _, m := range g.Members() {
		if m.Conflict && !known[m.NodeID] {
			g.log.Error("gossip: two live processes use one node id; stop one of them and give it a data directory of its own",
				"node", m.NodeID, "newest", m.Addr, "boot", m.BootID)
			g.d.signal()
		}
		known[m.NodeID] = m.Conflict
	}
}

// rejoin is one round: some seeds and some dead members, except those we are in contact with.
func (g *Gossip) rejoin(ctx context.Context) error {
	alive := map[string]bool{g.addr: true}
	var dead []string
	for _, m := range g.Members() {
		switch m.State {
		case Alive:
			alive[m.Addr] = true
		case Suspect, Dead:
			dead = append(dead, m.Addr)
		}
	}
	seeds, err := g.resolve(ctx, g.seeds())
	in := func(a string) bool { return alive[a] }
	targets := append(pick(slices.DeleteFunc(seeds, in), maxSeeds), pick(slices.DeleteFunc(dead, in), maxDead)...)
	slices.Sort(targets)
	_, joinErr := g.joinAll(ctx, slices.Compact(targets))
	return errors.Join(err, joinErr)
}

func (g *Gossip) seeds() []string {
	if g.cfg.Seeds == nil {
		return nil
	}
	return g.cfg.Seeds()
}

// pick returns at most k of the addresses, at random.
func pick(addrs []string, k int) []string {
	addrs = slices.Clone(addrs)
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs[:min(k, len(addrs))]
}

// Join contacts the addresses, "host:port", all at once, at most 16 of them. It returns nil if any of them took us
// in, else why each did not: errors.Is finds ErrUnreachable, ErrWrongKey, ErrWrongCluster, ErrIncompatible.
func (g *Gossip) Join(ctx context.Context, addrs ...string) error {
	found, err := g.resolve(ctx, addrs)
	found = slices.DeleteFunc(found, func(a string) bool { return a == g.addr })
	if len(found) == 0 && err == nil {
		return fmt.Errorf("cannot join %v: %w: it names no other node", addrs, ErrJoin)
	}
	joined, joinErr := g.joinAll(ctx, found[:min(len(found), maxSeeds+maxDead)])
	if joined > 0 {
		return nil
	}
	return errors.Join(err, joinErr)
}

// joinAll contacts addresses side by side, since each silent one takes a full timeout.
func (g *Gossip) joinAll(ctx context.Context, addrs []string) (joined int, err error) {
	results := make(chan error, len(addrs))
	for _, a := range addrs {
		// Not waited for when ctx ends: memberlist's dials cannot be cancelled, but end within their timeout.
		go func() { results <- g.joinOne(a) }()
	}
	var errs []error
	for range addrs {
		select {
		case err := <-results:
			if err != nil {
				errs = append(errs, err)
			} else {
				joined++
			}
		case <-ctx.Done():
			return joined, ctx.Err()
		case <-g.ended:
			return joined, fmt.Errorf("cannot join: %w", ErrClosed)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return joined, errors.Join(errs...)
}

// joinOne exchanges states with one address. The name is a placeholder: memberlist demands one, and nobody checks
// it in this exchange, which is how a node of unknown boot can be found at all.
func (g *Gossip) joinOne(addr string) error {
	if _, err := g.list.Join([]string{"seed/" + addr}); err != nil {
		return joinError(addr, err)
	}
	return nil
}

// resolve turns addresses into ip:port. Names are looked up each time: a node may have come back elsewhere.
func (g *Gossip) resolve(ctx context.Context, addrs []string) (found []string, err error) {
	var errs []error
	for _, a := range addrs {
		ips, port, err := g.lookup(ctx, a)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot join %s: %w: %v", a, ErrUnreachable, err))
			continue
		}
		for _, ip := range ips[:min(len(ips), maxIPs)] {
			found = append(found, net.JoinHostPort(ip, port))
		}
	}
	slices.Sort(found)
	return slices.Compact(found), errors.Join(errs...)
}

// lookup finds the IPs of one address. Without a port it gets ours.
func (g *Gossip) lookup(ctx context.Context, addr string) (ips []string, port string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, strconv.Itoa(g.cfg.BindPort)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []string{ip.String()}, port, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if g.cfg.Lookup != nil {
		ips, err = g.cfg.Lookup(ctx, host)
	} else {
		ips, err = net.DefaultResolver.LookupHost(ctx, host)
	}
	return ips, port, err
}
