package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// contact is what the leader knows of a node at first hand.
type contact struct {
	session  *session
	admitted bool // its NodeUp is committed: it gets orders
	// heard is its last sign of life, or when this leader began to listen; parted
	// is when its session ended, or when this leader began to wait for one.
	heard, parted time.Time
	// hungUp is when its end closed the session. That alone is no proof: an agent
	// that hears nothing hangs up to dial anew. A knock settles it.
	hungUp time.Time
	// gone is since when its agent process is known not to run; zero if it is
	// not known. bye: it said so itself. stayed: a knock after its grace found it
	// gone still.
	gone    time.Time
	stayed  bool
	refused bool // it refused a connection: no process of it is left
	// obeyed: in this session it has. touch is when it was last heard after that, in
	// this session or one before.
	obeyed  bool
	touch   time.Time
	bye     bool
	holds   bool // with bye: children of it may be left
	returns bool // with bye: it comes back at once, and its children run on meanwhile
	probing bool
	since   time.Time // of the session
	sum     link.Sum  // what its replica remembers, see checksum
}

// inheritContacts begins to count every node's silence: the former leader's
// from when it was last heard, the others' from now. Never from so long ago that
// a node is lost for want of a session it had no time to open.
func (l *leader) inheritContacts() {
	l.n.heardMu.Lock()
	leader, at := l.n.heardLeader, l.n.heardAt
	l.n.heardLeader = "" // the next time, it is not the former leader any more
	l.n.heardMu.Unlock()
	if earliest := l.began.Add(-l.n.times.Silence); at.Before(earliest) {
		at = earliest
	}
	for id := range l.alive() {
		c := &contact{heard: l.began, parted: l.began}
		if id == leader && at.Before(l.began) {
			c.heard = at
		}
		l.contacts[id] = c
	}
}

func (l *leader) alive() map[string]*fsm.Node {
	nodes := make(map[string]*fsm.Node)
	l.n.rep.m.View(func(v fsm.View) {
		for _, n := range v.Nodes() {
			if n.State == fsm.NodeAlive {
				nodes[n.ID] = n
			}
		}
	})
	return nodes
}

// tell hands news to the loop; it is lost when the leadership is over, which
// ends the session too.
func (l *leader) tell(m sessionNews) {
	select {
	case l.news <- m:
	case <-l.ctx.Done():
	}
}

// onNews takes what a session brings.
func (l *leader) onNews(m sessionNews) {
	if m.restored {
		l.startOver()
		return
	}
	id := m.s.hello.Node.ID
	c := l.contacts[id]
	switch {
	case m.opened:
		l.onHello(id, m)
		return
	case c == nil || c.session != m.s:
		return // of a session that was replaced
	case m.closed:
		c.session, c.admitted, c.parted = nil, false, time.Now()
		l.vitals.Delete(id)
		l.onHangUp(c, m.gone)
		return
	}
	c.heard = time.Now()
	l.vitals.Store(id, vital{c.since, m.up.Applied})
	if m.up.Bye {
		c.bye, c.holds, c.returns = true, m.up.Holds, m.up.Returns
	}
	if m.up.Renew != 0 {
		l.ask(m)
	}
	if m.up.Health != nil {
		l.onHealth(m.s.hello.Node, *m.up.Health)
	}
	if m.up.Sum != nil {
		c.sum = *m.up.Sum
	}
	l.noteProgress(id, m.up.Applied)
	if len(m.up.Events) > 0 {
		l.proposeEvents(m)
	}
	if m.up.Obeyed {
		c.obeyed = true
		l.onObeyed(m.s.hello.Node)
	}
	if c.obeyed {
		c.touch = c.heard
	}
}

// onHangUp notes the end of a session. A node that said goodbye is taken at its
// word; at another's door the leader knocks at once.
func (l *leader) onHangUp(c *contact, byKernel bool) {
	l.idle = false
	switch {
	case byKernel && c.bye:
		c.gone = time.Now()
	case byKernel:
		c.hungUp = time.Now()
		l.probe()
	}
}

// startOver ends all sessions: nodes dial again and are told all their orders.
func (l *leader) startOver() {
	l.n.rep.m.TakeChanged()
	clear(l.ordered)
	for _, c := range l.contacts {
		if c.session != nil {
			c.session.conn.Close()
		}
	}
}

// onHello enters a node: its first message becomes NodeUp, and once that is
// committed it gets the whole of its orders.
func (l *leader) onHello(id string, m sessionNews) {
	if theirs, ours := m.s.hello.Node.Profile, string(l.n.cfg.Profile); theirs != "" && ours != "" && theirs != ours {
		m.s.put(func(o *outbox) {
			o.refused = fmt.Sprintf("its profile is %s, the cluster's is %s: join with --profile %s, or correct node.json", theirs, ours, ours)
		})
		return
	}
	if c := l.contacts[id]; c != nil && c.session != nil {
		c.session.conn.Close() // a node has one session: the newest
	} else if c == nil && len(l.contacts) >= maxContacts {
		m.s.put(func(o *outbox) { o.refused = "the leader knows too many nodes" })
		return
	}
	now := time.Now()
	c := &contact{session: m.s, since: now, heard: now}
	if before := l.contacts[id]; before != nil {
		c.touch = before.touch
	}
	l.vitals.Store(id, vital{now, m.up.Applied})
	l.contacts[id] = c
	l.leases.hello(id)
	up := &fsm.NodeUp{Node: m.s.hello.Node, Apart: now.Sub(c.touch) >= l.n.times.Alone/2}
	for _, life := range m.s.hello.Lives {
		up.Lives = append(up.Lives, life.Ref)
	}
	l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeNodeUp, Up: up}, then: func(r fsm.Result, err error) {
		switch {
		case err != nil:
			m.s.conn.Close()
		case r.Err != nil:
			m.s.put(func(o *outbox) { o.refused, o.left = r.Err.Error(), errors.Is(r.Err, fsm.ErrLeft) })
		case l.contacts[id] == c && c.session == m.s:
			l.admit(id, c)
		}
	}})
	if len(m.up.Events) > 0 {
		l.proposeEvents(m)
	}
}

// expel ends the session of a node that was just lost. If it was only paused, it
// dials again when it goes on, and its hello enters it again; in the old session
// nobody would.
func (l *leader) expel(id string, err error) {
	if c := l.contacts[id]; err == nil && c != nil && c.session != nil {
		c.admitted = false
		c.session.conn.Close()
	}
}

// admit sends a node the whole of its orders.
func (l *leader) admit(id string, c *contact) {
	c.admitted = true
	l.n.rep.m.View(func(v fsm.View) {
		orders := v.Orders(id)
		c.session.put(func(o *outbox) {
			o.full, o.index = true, v.Index()
			for _, ord := range orders {
				o.order(ord)
			}
		})
		for _, ord := range orders {
			l.ordered[ord.Path] = sent{id, ord.Ref}
		}
	})
}

func (l *leader) proposeEvents(m sessionNews) {
	s, seq := m.s, m.up.Seq
	l.propose(&proposal{
		cmd: fsm.Command{Type: fsm.TypeEvents, Events: m.up.Events},
		then: func(_ fsm.Result, err error) {
			if err == nil {
				s.put(func(o *outbox) { o.ack = max(o.ack, seq) })
			}
		},
	})
}

// probed is the answer of a node's cluster port.
type probed struct {
	id      string
	at      time.Time // of the knock
	alive   bool
	refused bool
	cut     bool // it took the call and hung up
}

// probe knocks at nodes that have no session. A refused connection is the
// kernel's word that the process is gone; a new leader has no other way to learn
// it fast.
func (l *leader) probe() {
	for id, n := range l.alive() {
		l.probeNode(id, n)
	}
}

// probeFormer knocks at the leader before: most likely its end is why there was
// an election, so there is no time to lose.
func (l *leader) probeFormer() {
	for id, n := range l.alive() {
		if c := l.contacts[id]; c != nil && c.heard.Before(l.began) {
			l.probeNode(id, n)
		}
	}
}

func (l *leader) probeNode(id string, n *fsm.Node) {
	c := l.contacts[id]
	if c == nil {
		c = &contact{heard: time.Now(), parted: time.Now()}
		l.contacts[id] = c
	}
	known := !c.gone.IsZero() && (c.bye || c.stayed)
	if c.session != nil || c.probing || known || id == l.n.cfg.Self.ID {
		return
	}
	c.probing = true
	addr := l.n.address(id)
	if addr == "" {
		addr = n.Address
	}
	l.n.wg.Go(func() { l.knock(id, addr) })
}

func (l *leader) knock(id, addr string) {
	ctx, cancel := context.WithTimeout(l.ctx, l.n.times.Silence)
	defer cancel()
	at := time.Now()
	conn, err := l.n.dialer.DialNode(ctx, id, addr, mux.Join)
	if err == nil {
		conn.Close()
	}
	p := probed{
		id: id, at: at, alive: err == nil, refused: errors.Is(err, syscall.ECONNREFUSED),
		cut: errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF),
	}
	select {
	case l.probes <- p:
	case <-l.ctx.Done():
	}
}

// onProbe takes what a knock found. Who was found gone is knocked at again until its
// grace is over: it may be back, and have found no leader to open a session with.
func (l *leader) onProbe(p probed) {
	c := l.contacts[p.id]
	if c == nil {
		return
	}
	c.probing, c.refused = false, p.refused
	if c.session != nil || !c.gone.IsZero() && c.bye {
		return
	}
	switch {
	case p.alive:
		// It only hung up, or had no time yet to dial. That it answers is a sign
		// of life, but it must open a session to stay.
		c.hungUp, c.gone, c.heard = time.Time{}, time.Time{}, time.Now()
	case p.cut:
		// Its agent ended while it was being asked. If its keeper is there, it holds
		// the port and the next agent answers; if not, the next knock is refused.
		return
	case !c.hungUp.IsZero(): // refused, or its machine went with it
		c.gone = c.hungUp
	case p.refused:
		// It had its grace to come back since it was last heard: an election,
		// which takes longer, is not followed by another wait.
		c.gone = c.heard
	}
	until := p.at // it was refused then
	if !p.refused {
		until = time.Now() // it was waited for in vain
	}
	c.stayed = !c.gone.IsZero() && (until.Sub(c.gone) >= l.n.times.Grace || bug.On("no-last-knock"))
	l.idle = false
}

// sign is all there is to judge a node by.
type sign struct {
	session bool
	silent  time.Duration
	apart   time.Duration // without a session; 0 with one
	gone    time.Duration // since its process is known to be gone; 0 if not
	stayed  bool          // it still was after its grace
	bye     bool
	empty   bool          // with bye: no child of it is left
	refused bool          // no process of it is left
	returns bool          // with bye: it comes back at once
	gossip  gossip.State  // empty: gossip does not know it
	dead    time.Duration // how long gossip has held it for dead
}

// judge tells whether a node is lost, and why. It never is while its session
// lives, whatever gossip believes (P16).
func judge(t Times, s sign) (reason string, lost bool) {
	// Without a session it takes a moment longer to be heard than to be believed
	// alive by gossip, so that moment is waited for.
	dead := (s.gossip == gossip.Dead || s.gossip == gossip.Left) && (s.session || s.dead >= t.Grace)
	switch {
	case s.returns && s.gone > 0 && s.gone < t.Return:
		return "", false // its children run on, and its silence is no surprise
	case s.bye && s.gone > 0:
		return "its agent has ended", true
	case s.gone > 0 && s.stayed && !s.session:
		return fmt.Sprintf("its agent ended %v ago", s.gone.Round(time.Millisecond)), true
	case (s.silent >= t.Silence || bug.On("gossip-condemns")) && dead:
		return fmt.Sprintf("silent for %v, and %s by gossip", s.silent.Round(time.Millisecond), s.gossip), true
	case max(s.silent, s.apart) >= t.Unreachable:
		return fmt.Sprintf("no session for %v", max(s.silent, s.apart).Round(time.Millisecond)), true
	}
	return "", false
}

// due lists what the leader itself must propose now.
func (l *leader) due() []fsm.Command {
	in := inputs{now: l.now(), signs: l.signs()}
	var cmds []fsm.Command
	l.n.rep.m.View(func(v fsm.View) {
		in.leased, in.overdue = l.leased(v)
		cmds = l.decider.next(v, in)
	})
	if cmd, ok := l.checksum(); ok {
		cmds = append(cmds, cmd)
	}
	return cmds
}

// signs gathers what is known of each node.
func (l *leader) signs() map[string]sign {
	now := time.Now()
	signs := make(map[string]sign, len(l.contacts))
	for id, c := range l.contacts {
		s := sign{
			session: c.session != nil, silent: now.Sub(c.heard), bye: c.bye, empty: c.bye && !c.holds, refused: c.refused,
			returns: c.returns, stayed: c.stayed,
		}
		if !c.gone.IsZero() {
			s.gone = max(1, now.Sub(c.gone))
		}
		if c.session == nil {
			s.apart = now.Sub(c.parted)
		}
		signs[id] = s
	}
	confirm := gossip.Timing(l.n.cfg.Profile).Confirm
	for _, m := range l.n.cfg.Gossip.Members() {
		if s, ok := signs[m.NodeID]; ok {
			s.gossip, s.dead = m.State, now.Sub(m.Since)-confirm
			signs[m.NodeID] = s
		}
	}
	return signs
}

// sentence says what is to be done about one node: it is lost, or it is fenced,
// since its lease has surely run out. Only the lease condemns exclusive children;
// it does so, too, where gossip finds the node alive.
func sentence(t Times, n *fsm.Node, in inputs) (fsm.Command, bool) {
	s, known := in.signs[n.ID]
	ref := &fsm.NodeRef{ID: n.ID, Boot: n.Boot}
	if n.State == fsm.NodeAlive {
		if reason, lost := judge(t, s); known && lost {
			ref.Reason, ref.Leased, ref.Apart = reason, in.leased[n.ID] && !s.empty, s.mayAct()
			if bug.On("gossip-condemns-without-lease") {
				ref.Leased = false
			}
			return fsm.Command{Type: fsm.TypeNodeLost, Node: ref}, true
		}
	}
	if n.Fenced || in.leased[n.ID] || n.State == fsm.NodeAlive && !in.overdue[n.ID] {
		return fsm.Command{}, false
	}
	ref.Reason = fmt.Sprintf("its lease has run out, for at least %v it asked for none", t.W())
	return fsm.Command{Type: fsm.TypeNodeFenced, Node: ref}, true
}

// inputs is what next decides on, besides the state.
type inputs struct {
	now    time.Duration // cluster time
	signs  map[string]sign
	leased map[string]bool // nodes whose exclusive children may still run
	// overdue are nodes that are alive and must lose their exclusive children.
	overdue map[string]bool
	pace    pace
	// turn counts how often the leader has looked.
	turn int
}

// next says what the leader must propose, given the state and what it sees: the
// loss and the fencing of nodes, the second start of failed trees, the next step of
// rollouts, a node for each life that waits for one. It changes nothing, and proposes the same again until
// it is in the state.
func next(t Times, v fsm.View, in inputs) []fsm.Command {
	var cmds []fsm.Command
	for _, n := range v.Nodes() {
		if cmd, due := sentence(t, n, in); due {
			cmds = append(cmds, cmd)
		}
	}
	for _, name := range v.TreeNames() {
		if at, ok := v.Tree(name).RetryAt(); ok && in.now >= at {
			cmds = append(cmds, fsm.Command{
				Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: "start", Path: name}, By: supervisor.RetryBy,
			})
		}
	}
	for _, name := range v.TreeNames() {
		if at, ok := v.Tree(name).NextAt(); ok && in.now >= at {
			cmds = append(cmds, fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: fsm.VerbAdvance, Path: name}})
		}
	}
	if len(cmds) > 0 {
		return cmds // places follow from the state after these
	}
	if assigns := assign(v, in.pace, in.now, in.turn); len(assigns) > 0 {
		cmds = append(cmds, fsm.Command{Type: fsm.TypeAssign, Assign: assigns})
	}
	return cmds
}
