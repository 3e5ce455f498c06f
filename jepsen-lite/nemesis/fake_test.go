package nemesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// fake is a lab without processes: a network that remembers its rules.
type fake struct {
	lab.Lab
	nodes  []lab.Node
	leader string
	mu     sync.Mutex // holds rules and packet while faults go on by themselves
	rules  map[way]map[lab.Ports]lab.Rule
	packet uint64
}

type fakeNode struct {
	lab.Node
	l    *fake
	name string

	mu   sync.Mutex
	down bool
}

func newFake(n int) *fake {
	l := &fake{leader: "n2", rules: make(map[way]map[lab.Ports]lab.Rule)}
	for i := range n {
		l.nodes = append(l.nodes, &fakeNode{l: l, name: fmt.Sprintf("n%d", i+1)})
	}
	return l
}

func (l *fake) Can() lab.Caps        { return ^lab.Caps(0) }
func (l *fake) Nodes() []lab.Node    { return l.nodes }
func (l *fake) Network() lab.Network { return l }

func (l *fake) Set(from, to string, ports lab.Ports, rule lab.Rule) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := way{from, to}
	if l.rules[w] == nil {
		l.rules[w] = make(map[lab.Ports]lab.Rule)
	}
	if rule == (lab.Rule{}) {
		delete(l.rules[w], ports)
	} else {
		l.rules[w][ports] = rule
	}
	return nil
}

func (l *fake) Heal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.rules)
	return nil
}

// Traffic counts one packet more at each look, as if all links were busy.
func (l *fake) Traffic(from, to string) (t lab.Traffic, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packet++
	for _, r := range l.rules[way{from, to}] {
		switch {
		case r.Cut:
			t.Cut = l.packet
		case r.Loss > 0:
			t.Lost = l.packet
		case r.Duplicate > 0:
			t.Duplicated = l.packet
		default:
			t.Delayed = l.packet
		}
	}
	return t, nil
}

// sees tells whether packets get from one node to another on a port.
func (l *fake) sees(from, to lab.Node, port lab.Ports) bool {
	for ports, r := range l.rules[way{from.Name(), to.Name()}] {
		if ports&port != 0 && r.Cut {
			return false
		}
	}
	return true
}

func (n *fakeNode) Name() string             { return n.name }
func (n *fakeNode) Left() bool               { return false }
func (n *fakeNode) URL() string              { return "http://" + n.name }
func (n *fakeNode) HTTP() *http.Client       { return &http.Client{Transport: n} }
func (n *fakeNode) Agent() (lab.Proc, error) { return lab.Proc{}, errors.New("there is none") }

func (n *fakeNode) Keeper() (lab.Proc, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return lab.Proc{}, errors.New("it is down")
	}
	return lab.Proc{PID: 1}, nil
}

func (n *fakeNode) Kill() error { n.set(true); return nil }

func (n *fakeNode) set(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *fakeNode) Children() ([]lab.Proc, error) { return nil, errors.New("there is no process") }

func (n *fakeNode) Stop(context.Context) error { return n.Kill() }

func (n *fakeNode) Start(context.Context) error { n.set(false); return nil }

func (n *fakeNode) RoundTrip(*http.Request) (*http.Response, error) {
	text, err := json.Marshal(api.Status{Cluster: api.ClusterStatus{Leader: n.l.leader}})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(text)))}, err
}

var _ lab.Network = (*fake)(nil)

// fallen are the nodes that are down.
func (l *fake) fallen() (names []string) {
	for _, n := range l.nodes {
		if _, err := n.Keeper(); err != nil {
			names = append(names, n.Name())
		}
	}
	return names
}

func find(name string) Nemesis {
	n, err := Find(name)
	if err != nil {
		panic(err)
	}
	return n
}

var background = context.Background()
