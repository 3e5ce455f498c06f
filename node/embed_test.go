package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// lab is three nodes in this process, with ground truth: who is in which function.
type lab struct {
	t     *testing.T
	token string
	nodes []*Node
	base  int // goroutines before

	mu      sync.Mutex
	inside  map[string][]string // by path: the nodes whose function has yet to return
	begun   map[string][]cluster.Life
	doubles []string
	fatal   []error
	cables  map[string]*cable
	onFatal func(error)
}

// cable is what a node hangs on: all its connections to others.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

var errCut = errors.New("the cable is cut")

func (c *cable) wrap(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		conn.Close()
		return nil, errCut
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// work is a function that is watched, and does what act says meanwhile.
func (l *lab) work(act func(context.Context, cluster.Life) error) cluster.Func {
	return func(ctx context.Context, life cluster.Life) error {
		l.mu.Lock()
		if now := l.inside[life.Path]; len(now) > 0 {
			l.doubles = append(l.doubles, fmt.Sprintf("%s on %s while on %v", life.Path, life.Node, now))
		}
		l.inside[life.Path] = append(l.inside[life.Path], life.Node)
		l.begun[life.Path] = append(l.begun[life.Path], life)
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			i := slices.Index(l.inside[life.Path], life.Node)
			l.inside[life.Path] = slices.Delete(l.inside[life.Path], i, i+1)
		}()
		return act(ctx, life)
	}
}

func untilDone(ctx context.Context, _ cluster.Life) error {
	<-ctx.Done()
	return ctx.Err()
}

// address gives a node an address of this machine of its own. A free port of one that is
// shared may be taken, by whoever dials, before the node listens there.
func address() string {
	return fmt.Sprintf("127.66.%d.%d", os.Getpid()%256, addresses.Add(1))
}

var addresses atomic.Int32

// door is the address of a node that runs; "" if there is none yet.
func (l *lab) door() string {
	for _, n := range l.nodes {
		if !n.closed() {
			return n.Self().Address
		}
	}
	return ""
}

func (l *lab) start(name string, funcs map[string]cluster.Func) *Node {
	l.t.Helper()
	e := Embed{
		Dir:     filepath.Join(l.t.TempDir(), name),
		Options: Options{Name: name, Profile: "fast", Bind: address()},
		Join:    l.door(), Token: l.token, Functions: funcs,
		Fatal: func(err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.onFatal != nil {
				l.onFatal(err)
				return
			}
			l.fatal = append(l.fatal, err)
		},
	}
	l.cables[name] = new(cable)
	e.wrap = l.cables[name].wrap
	n, err := Start(context.Background(), e)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.token == "" {
		if l.token, err = Token(e.Dir); err != nil {
			l.t.Fatal(err)
		}
	}
	l.nodes = append(l.nodes, n)
	return n
}

func newLab(t *testing.T, funcs ...map[string]cluster.Func) *lab {
	if testing.Short() {
		t.Skip("a real cluster")
	}
	l := &lab{t: t, cables: make(map[string]*cable), base: runtime.NumGoroutine(), inside: make(map[string][]string), begun: make(map[string][]cluster.Life)}
	t.Cleanup(l.end)
	for i, f := range funcs {
		l.start(fmt.Sprint("n", i+1), f)
	}
	l.untilWhole()
	return l
}

// end closes all nodes, and finds what they left.
func (l *lab) end() {
	var wg sync.WaitGroup
	for _, n := range l.nodes {
		wg.Go(func() {
			if err := n.Close(); err != nil {
				l.t.Errorf("%s: %v", n.Self().Name, err)
			}
		})
	}
	wg.Wait()
	l.mu.Lock()
	for path, on := range l.inside {
		if len(on) > 0 {
			l.t.Errorf("%s still runs on %v", path, on)
		}
	}
	if len(l.doubles) > 0 || len(l.fatal) > 0 {
		l.t.Errorf("ran twice at once: %v; fatal: %v", l.doubles, l.fatal)
	}
	l.mu.Unlock()
	// What the Go library keeps for a moment (closing connections, timers) may end late.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > l.base; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			l.t.Fatalf("%d goroutines more than before:\n%s", runtime.NumGoroutine()-l.base, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// until waits for something that the cluster will do.
func (l *lab) until(what string, ok func() bool) {
	l.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			l.t.Fatalf("in vain: %s\n%s", what, l.state())
		}
	}
}

func (l *lab) leader() *Node {
	for _, n := range l.nodes {
		if !n.closed() && n.cluster.Leads() {
			return n
		}
	}
	return nil
}

// untilWhole waits until all nodes that were not closed are alive, and vote.
func (l *lab) untilWhole() {
	l.t.Helper()
	l.until("all nodes are alive and vote", func() bool {
		up := 0
		for _, n := range l.nodes {
			if !n.closed() {
				up++
			}
		}
		n := l.leader()
		if n == nil || len(l.alive()) != up {
			return false
		}
		for _, p := range n.peers() { // one that is closed must have lost its vote, too
			i := slices.IndexFunc(l.nodes, func(n *Node) bool { return n.Self().ID == p.ID })
			if !p.Voter || l.nodes[i].closed() {
				return false
			}
			up--
		}
		return up == 0
	})
}

func (n *Node) closed() bool {
	select {
	case <-n.Done():
		return true
	default:
		return false
	}
}

func (l *lab) alive() (names []string) {
	if n := l.leader(); n != nil {
		n.cluster.Machine().View(func(v fsm.View) {
			for _, node := range v.Nodes() {
				if node.State == fsm.NodeAlive {
					names = append(names, node.Name)
				}
			}
		})
	}
	return names
}

func (l *lab) state() string {
	n := l.leader()
	if n == nil {
		return "no leader"
	}
	var out strings.Builder
	n.cluster.Machine().View(func(v fsm.View) {
		for _, node := range v.Nodes() {
			fmt.Fprintf(&out, "%s %s %v\n", node.Name, node.State, node.Labels)
		}
		for _, name := range v.TreeNames() {
			for _, c := range v.Tree(name).Children() {
				fmt.Fprintf(&out, "%+v\n", c)
			}
		}
	})
	return out.String()
}

// submit gives the cluster a command, as soon as there is a leader.
func (l *lab) submit(cmd fsm.Command) {
	l.t.Helper()
	l.until("a command is taken", func() bool {
		n := l.leader()
		if n == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		defer cancel()
		r, err := n.cluster.Submit(ctx, cmd)
		if err == nil && r.Err != nil {
			l.t.Fatal(r.Err)
		}
		return err == nil
	})
}

// runs waits until the path runs, in one place, and says where.
func (l *lab) runs(path string) (node string) {
	l.t.Helper()
	l.until(path+" runs", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.inside[path]) != 1 {
			return false
		}
		node = l.inside[path][0]
		return true
	})
	return node
}

// apply gives the cluster a tree.
func (l *lab) apply(text string) {
	l.t.Helper()
	tree, err := spec.Parse("t.yaml", []byte(text))
	if err != nil {
		l.t.Fatal(err)
	}
	l.submit(fsm.Command{Type: fsm.TypeApplyTree, Tree: &tree, By: "test"})
}

func (l *lab) verb(verb, path string) {
	l.t.Helper()
	l.submit(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: verb, Path: path}, By: "test"})
}

// child is its status, as the leader has it.
func (l *lab) child(path string) (s supervisor.Status) {
	if n := l.leader(); n != nil {
		n.cluster.Machine().View(func(v fsm.View) {
			if t := v.Tree(supervisor.TreeName(path)); t != nil {
				s, _ = t.Child(path)
			}
		})
	}
	return s
}

// node finds one that runs.
func (l *lab) node(name string) *Node {
	i := slices.IndexFunc(l.nodes, func(n *Node) bool { return n.Self().Name == name })
	return l.nodes[i]
}

// lives is how often the function of a path has begun.
func (l *lab) lives(path string) []cluster.Life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.begun[path])
}
