package main

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// key tells worlds apart by all that can matter later: two worlds with the same key have
// the same future. Epochs count by their order among those of the child, and by which
// lives are of one batch; times by their distance to now; and worlds that differ by an
// exchange of the two nodes are one. whole: what may still happen matters, too.
func (w *world) key(whole bool) uint64 {
	k := keyer{w: w}
	if len(stateRest)+len(nodeRest)+len(lifeRest) > 0 {
		k.collect()
	}
	first := k.all(whole, false)
	if w.scope.hosts == 1 {
		return first
	}
	return min(first, k.all(whole, true))
}

// keyer writes a world into a hash.
type keyer struct {
	w    *world
	swap bool // the nodes are exchanged
	h    uint64
	// batches are those that a life has yet to end for, own the epochs of one child.
	batches, own []supervisor.Epoch
	// epochs are all, in order, for fields that this file does not know.
	epochs     []supervisor.Epoch
	collecting bool
}

// Fields of the tree's state with a treatment of their own below, or that cannot matter:
// they explain, or count what nobody decides on; Born is for other trees. Any other field
// is part of the key.
var (
	stateRest = rest(reflect.TypeFor[supervisor.State](),
		"Spec", "Failed", "FailedAt", "Deleting", "Down", "Begun", "Shared", "History", "Nodes", "Leaving", "Rollout", "Born")
	nodeRest = rest(reflect.TypeFor[supervisor.NodeState](),
		"Path", "Down", "Begun", "Window", "Shared", "Loans", "Tallies", "Life", "History", "Spec", "Asked", "Held", "Watch", "Born")
	lifeRest = rest(reflect.TypeOf(supervisor.NodeState{}.Life),
		"Phase", "Epoch", "Node", "Last", "Avoid", "Only", "Released", "Halted", "Spawned", "PID", "NotBefore", "Delayed", "Start",
		"Since", "Reason", "Next", "Then", "Stay", "Exclusive", "Generation", "Restarts", "Moves", "Crashes", "Alone")
)

// rest lists the fields of a struct that are not known here.
func rest(t reflect.Type, known ...string) (fields []int) {
	for i := range t.NumField() {
		if !slices.Contains(known, t.Field(i).Name) {
			fields = append(fields, i)
		}
	}
	return fields
}

// add is one round of a hash that is quick and good enough for 64 bits.
func (k *keyer) add(x uint64) {
	k.h = (k.h ^ x) * 0x9E3779B97F4A7C15
	k.h ^= k.h >> 32
}

func (k *keyer) flags(bits ...bool) {
	x := uint64(1)
	for _, b := range bits {
		x <<= 1
		if b {
			x |= 1
		}
	}
	k.add(x)
}

func (k *keyer) text(s string) {
	x := uint64(len(s))
	for i := range len(s) {
		x = x*257 + uint64(s[i])
	}
	k.add(x)
}

// host writes a node by name, which may be none.
func (k *keyer) host(name string) { k.place(hostOf(name)) }

func (k *keyer) place(h int) {
	if k.swap && h >= 0 {
		h = 1 - h
	}
	k.add(uint64(h + 1))
}

// epoch writes the place of an epoch among all that there are.
func (k *keyer) epoch(e supervisor.Epoch) {
	if k.collecting {
		k.epochs = append(k.epochs, e)
		return
	}
	i, _ := slices.BinarySearch(k.epochs, e)
	k.add(uint64(i))
}

// batch writes which of the batches that have yet to end e is; 0 for none, because who
// is of a batch that has ended waits for nothing.
func (k *keyer) batch(e supervisor.Epoch) { k.add(uint64(slices.Index(k.batches, e) + 1)) }

// rank writes the place of an epoch among those of its child.
func (k *keyer) rank(e supervisor.Epoch) {
	place := 0
	for _, x := range k.own {
		if x < e {
			place++
		}
	}
	k.add(uint64(place))
}

// gather finds the epochs of a child: of its life, of its processes, and of what nodes
// that are cut off were ordered. Each counts once.
func (k *keyer) gather(n *supervisor.NodeState, i int) {
	k.own = k.own[:0]
	put := func(e supervisor.Epoch) {
		if !slices.Contains(k.own, e) {
			k.own = append(k.own, e)
		}
	}
	if n != nil && (!settled(n) || n.Life.Phase == supervisor.PhaseRunning) {
		put(n.Life.Epoch)
	}
	for j := range k.w.procs {
		if k.w.procs[j].who == i {
			put(k.w.procs[j].epoch)
		}
	}
	for h := range k.w.hosts {
		for _, o := range k.w.hosts[h].orders {
			if o.who == i {
				put(o.epoch)
			}
		}
	}
}

// ahead writes a time that matters only as long as it has not come.
func (k *keyer) ahead(t time.Duration) { k.add(uint64(max(0, t-k.w.now))) }

// window writes the charges that still count.
func (k *keyer) window(charges []time.Duration) {
	recent := k.w.recent(charges)
	k.add(uint64(len(recent)))
	for _, t := range recent {
		k.add(uint64(k.w.now - t))
	}
}

// collect finds all epochs, before anything is written.
func (k *keyer) collect() {
	k.collecting = true
	k.all(true, false)
	for i := range k.w.st.Nodes {
		k.epochs = append(k.epochs, k.w.st.Nodes[i].Life.Epoch)
	}
	slices.Sort(k.epochs)
	k.epochs = slices.Compact(k.epochs)
	k.collecting = false
}

func (k *keyer) all(whole, swap bool) uint64 {
	k.h, k.swap, k.batches = 1, swap, k.batches[:0]
	w := k.w
	st := &w.st
	w.workers(func(_ int, n *supervisor.NodeState) {
		if n.Life.Phase == supervisor.PhaseStopping && !slices.Contains(k.batches, n.Life.Next) {
			k.batches = append(k.batches, n.Life.Next)
		}
	})
	k.flags(st.Failed, st.Deleting)
	k.add(uint64(w.variant))
	if st.Failed && st.Spec.RetryAfter > 0 {
		k.ahead(st.FailedAt + st.Spec.RetryAfter)
	}
	k.text(string(st.Down))
	k.batch(st.Begun)
	k.window(st.Shared)
	k.unknown(reflect.ValueOf(st).Elem(), stateRest)
	k.rollout()
	for h := range w.scope.hosts {
		if swap {
			h = 1 - h
		}
		x := &w.hosts[h]
		k.add(uint64(x.reach))
		k.flags(x.down, x.fenced, x.draining, x.expired)
	}
	for i := range w.family() {
		n := w.node(i)
		k.flags(n == nil, w.stopped[i])
		k.gather(n, i)
		if n != nil {
			k.node(n, i)
		}
		for h := range w.scope.hosts {
			if swap {
				h = 1 - h
			}
			k.there(i, h)
		}
	}
	if whole {
		k.add(uint64(w.left.ends) | uint64(w.left.fatals)<<8 | uint64(w.left.verbs)<<16 | uint64(w.left.losses)<<24 | uint64(w.left.words)<<32)
	}
	return k.h
}

// there writes what a node has of a child: processes, reports, and what it was ordered
// when it was cut off.
func (k *keyer) there(i, h int) {
	k.add(0)
	for j := range k.w.procs {
		p := &k.w.procs[j]
		if p.who == i && p.host == h {
			k.rank(p.epoch)
			k.add(1 + uint64(p.end))
			k.flags(p.exclusive, p.adrift, p.sent)
		}
	}
	for _, o := range k.w.hosts[h].orders {
		if o.who == i {
			k.rank(o.epoch)
			k.flags(o.halt, o.exclusive, o.epoch <= k.w.past[i])
			k.ahead(o.notBefore)
		}
	}
}

func (k *keyer) node(n *supervisor.NodeState, i int) {
	k.text(string(n.Down))
	k.batch(n.Begun)
	k.window(n.Window)
	k.window(n.Shared)
	k.unknown(reflect.ValueOf(n).Elem(), nodeRest)
	if n.Asked != 0 {
		k.ahead(n.Asked + 1) // its end included
	}
	k.turn(n)
	if !k.w.worker(i) {
		return
	}
	k.add(uint64(len(n.Loans)))
	for _, l := range n.Loans {
		k.host(l.Node)
		k.flags(l.Until == 0, l.Until != 0 && l.Until < k.w.now, l.Forgotten)
		k.add(uint64(l.Share))
		k.ahead(l.Until)
	}
	if x := &k.w.family()[i]; x.in && x.max > 1 && !k.w.family()[x.parent].gated() {
		for _, t := range n.Tallies { // they are forgotten in turn
			k.host(t.Node)
			k.add(uint64(t.Count))
		}
	}
	k.life(n, i)
}

// rollout writes what is left of an edit; what is done counts for nothing.
func (k *keyer) rollout() {
	r := k.w.st.Rollout
	if r == nil {
		return
	}
	k.text(string(r.Phase))
	if r.Base != nil {
		k.add(uint64(slices.IndexFunc(k.w.specs, func(s supervisor.Spec) bool { return &s.Children[0] == &r.Base.Children[0] })))
	}
	k.text(fmt.Sprint(r.Policies))
}

// turn writes a child's place in a rollout. Times are of use until the longest wait is over.
func (k *keyer) turn(n *supervisor.NodeState) {
	const longest = 3 * period
	if h := n.Held; h != nil {
		k.text(h.Program.Argv[0])
		k.flags(h.Exclusive)
	}
	if t := n.Watch; t != nil {
		k.flags(t.Failed != "")
		k.add(uint64(min(longest, k.w.now-t.Since)))
		k.add(uint64(min(longest, k.w.now-n.Life.Since)))
	}
}

func (k *keyer) life(n *supervisor.NodeState, i int) {
	l := &n.Life
	k.text(string(l.Phase))
	k.unknown(reflect.ValueOf(l).Elem(), lifeRest)
	if settled(n) && l.Phase != supervisor.PhaseRunning {
		k.host(l.Last)
		return
	}
	k.rank(l.Epoch)
	k.batch(l.Epoch)
	k.flags(l.Released, l.Halted, l.Stay, l.Exclusive, l.Spawned && (l.Exclusive || k.w.spawned), l.Epoch <= k.w.past[i])
	k.host(l.Node)
	if l.Node == "" {
		k.host(l.Last)
	}
	k.ahead(l.NotBefore)
	k.host(l.Only)
	k.add(uint64(len(l.Avoid)))
	for _, h := range l.Avoid {
		k.host(h)
	}
	if l.Phase == supervisor.PhaseStopping {
		k.batch(l.Next)
		k.text(string(l.Then))
		k.flags(k.w.haltedFor[i] == l.Next)
	}
	if k.w.family()[i].moveAfter > 0 {
		k.add(uint64(l.Crashes))
	}
	k.add(uint64(l.Alone))
}

// unknown writes fields that this file does not know, so that a new one is never taken
// for nothing.
func (k *keyer) unknown(v reflect.Value, fields []int) {
	for _, i := range fields {
		k.value(v.Field(i))
	}
}

func (k *keyer) value(v reflect.Value) {
	switch x := v.Interface().(type) {
	case supervisor.Epoch:
		k.epoch(x)
		return
	case time.Duration:
		if x != 0 {
			k.add(uint64(k.w.now - x))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		k.flags(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		k.add(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		k.add(v.Uint())
	case reflect.String:
		k.text(v.String())
	case reflect.Slice, reflect.Array:
		k.add(uint64(v.Len()))
		for i := range v.Len() {
			k.value(v.Index(i))
		}
	case reflect.Pointer:
		k.flags(v.IsNil())
		if !v.IsNil() {
			k.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			k.value(v.Field(i))
		}
	case reflect.Map:
		k.text(fmt.Sprint(v.Interface())) // in the order of its keys
	default:
		panic("explore: cannot tell states apart by a " + v.Type().String())
	}
}
