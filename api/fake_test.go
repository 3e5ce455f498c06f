package api_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// world is a cluster without raft: one log, applied to the machine of every node
// at once, and a leader that the test names.
type world struct {
	t     *testing.T
	nodes []*member

	mu     sync.Mutex
	index  uint64
	leader *member // nil: nobody
	loud   bool    // of noise
}

// member is one node of the world: a fake cluster.Node, a fake runner and a real
// api.Server over real sockets.
type member struct {
	w       *world
	self    link.Node
	machine *fsm.Machine
	port    net.Listener
	server  *api.Server
	web     *httptest.Server
	addr    string // where it is served as in a real node, limits and all
	logs    fakeLogs

	mu      sync.Mutex
	watch   chan struct{}
	down    bool                        // refuses connections
	blind   bool                        // sees no leader
	believe *member                     // whom it takes for the leader, against the truth
	before  func(context.Context) error // of Submit: nothing was done
	after   func(fsm.Result) error      // of Submit: it was done
	verify  func(context.Context) error // of Verify
	submits int

	transfer               func() error // instead of a transfer
	looks, dials, verifies atomic.Int32 // calls of Leader, DialHTTP to it, Verify
}

// countLooks counts from now on how often the node looks who leads.
func (m *member) countLooks() *atomic.Int32 {
	m.looks.Store(0)
	return &m.looks
}

type option func(*api.Config)

func newWorld(t *testing.T, n int, opts ...option) *world {
	t.Helper()
	w := &world{t: t}
	for i := range n {
		w.join(i+1, opts)
	}
	w.leader = w.nodes[0]
	w.must(fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "test", Generation: 1}})
	for _, m := range w.nodes {
		w.must(fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: m.self}})
	}
	return w
}

func (w *world) join(i int, opts []option) {
	t := w.t
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &member{w: w, machine: fsm.New(), port: port, watch: make(chan struct{})}
	m.self = link.Node{
		ID: fmt.Sprintf("NODE%dID", i), Name: fmt.Sprintf("n%d", i), Boot: fmt.Sprintf("b%d", i), BootSeq: 1,
		Address: port.Addr().String(), Labels: map[string]string{"rack": fmt.Sprint(i)}, Version: "v1",
	}
	cfg := api.Config{Cluster: m, Logs: &m.logs, Self: m.self, Peers: w.peers, Version: "v1", HoldFor: 20 * time.Second}
	for _, o := range opts {
		o(&cfg)
	}
	if m.server, err = api.New(cfg); err != nil {
		t.Fatal(err)
	}
	m.web = httptest.NewServer(m.server.Handler())
	t.Cleanup(m.web.Close)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.addr = lis.Addr().String()
	go func() { over <- m.server.Run(ctx, lis) }()
	t.Cleanup(func() { // before the web server closes: streams end with Run
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run of %s: %v", m.self.Name, err)
		}
	})
	w.nodes = append(w.nodes, m)
}

func (w *world) peers() []api.RaftServer {
	var list []api.RaftServer
	for i, m := range w.nodes {
		list = append(list, api.RaftServer{ID: m.self.ID, Address: m.self.Address, Voter: i < 3})
	}
	return list
}

// lead makes a node the leader; nil makes nobody.
func (w *world) lead(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = m
}

func (w *world) lastIndex() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.index
}

func (w *world) leads() *member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leader
}

// commit applies one command on all nodes.
func (w *world) commit(cmd fsm.Command) fsm.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.index++
	wall := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(w.index) * time.Second)
	data, err := fsm.Entry{Time: time.Duration(w.index) * time.Second, Wall: wall.UnixMilli(), Commands: []fsm.Command{cmd}}.Encode()
	if err != nil {
		w.t.Error(err)
	}
	var res fsm.Result
	for _, m := range w.nodes {
		results, err := m.machine.Apply(w.index, data)
		if err != nil {
			w.t.Error(err)
			continue
		}
		res = results[0]
		m.wake()
	}
	return res
}

func (w *world) must(cmd fsm.Command) fsm.Result {
	w.t.Helper()
	res := w.commit(cmd)
	if res.Err != nil {
		w.t.Fatal(res.Err)
	}
	return res
}

// assign gives a pending child its node, and start confirms that it runs.
func (w *world) assign(path string, m *member) supervisor.Epoch {
	w.t.Helper()
	epoch := w.epoch(path)
	w.must(fsm.Command{Type: fsm.TypeAssign, Assign: []supervisor.Assign{{Path: path, Epoch: epoch, Node: m.self.ID, Why: "it has room"}}})
	return epoch
}

func (w *world) start(path string, m *member, pid int) {
	w.t.Helper()
	epoch := w.assign(path, m)
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
		{Path: path, Epoch: epoch, Type: supervisor.EventStarted, PID: pid},
	}})
}

func (w *world) epoch(path string) (epoch supervisor.Epoch) {
	w.nodes[0].machine.View(func(v fsm.View) {
		if t := v.Tree(supervisor.TreeName(path)); t != nil {
			st, _ := t.Child(path)
			epoch = st.Epoch
		}
	})
	return epoch
}

func (m *member) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{API: m.web.URL, By: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (m *member) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.watch)
	m.watch = make(chan struct{})
}

func (m *member) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// What follows makes a member an api.Cluster.

func (m *member) Machine() *fsm.Machine { return m.machine }

func (m *member) Watch() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watch
}

func (m *member) Leader() (id, addr string) {
	m.looks.Add(1)
	l := m.w.leads()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.believe != nil {
		l = m.believe
	}
	if l == nil || m.blind {
		return "", ""
	}
	return l.self.ID, l.self.Address
}

func (m *member) Leads() bool  { return m.w.leads() == m }
func (m *member) Term() uint64 { return 7 }

func (m *member) Submit(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	if !m.Leads() {
		return fsm.Result{}, cluster.ErrNotLeader
	}
	m.mu.Lock()
	before, after := m.before, m.after
	m.submits++
	m.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return fsm.Result{}, err
		}
	}
	res := m.w.commit(cmd)
	if after != nil {
		if err := after(res); err != nil {
			return fsm.Result{}, err
		}
	}
	return res, res.Err
}

func (m *member) Verify(ctx context.Context) error {
	m.verifies.Add(1)
	m.mu.Lock()
	verify := m.verify
	m.mu.Unlock()
	if verify != nil {
		return verify(ctx)
	}
	if !m.Leads() {
		return cluster.ErrNotLeader
	}
	return nil
}

func (m *member) Transfer(_ context.Context, to string) error {
	if !m.Leads() {
		return cluster.ErrNotLeader
	}
	m.mu.Lock()
	instead := m.transfer
	m.mu.Unlock()
	if instead != nil {
		return instead()
	}
	for _, other := range m.w.nodes {
		if other != m && (to == "" || to == other.self.Name) {
			m.w.lead(other)
			return nil
		}
	}
	return errors.New("cannot hand leadership to " + to + ": it is no voter")
}

func (m *member) Leave(ctx context.Context, key, request string) error {
	if len(m.w.nodes) == 1 {
		return errors.New("cannot let " + key + " leave: it is the only voter")
	}
	var id string
	var err error
	m.machine.View(func(v fsm.View) {
		var n *fsm.Node
		if n, err = v.Node(key); err == nil {
			id = n.ID
		}
	})
	if err != nil {
		return err
	}
	_, err = m.Submit(ctx, fsm.Command{Type: fsm.TypeNodeLeft, Request: request, Node: &fsm.NodeRef{ID: id, Reason: "asked to leave"}})
	return err
}

func (m *member) SaveSnapshot(ctx context.Context) ([]byte, error) {
	if err := m.Verify(ctx); err != nil {
		return nil, err
	}
	return m.machine.Snapshot()
}

func (m *member) RestoreSnapshot(_ context.Context, data []byte) error {
	if !m.Leads() {
		return cluster.ErrNotLeader
	}
	image, err := m.machine.Successor(data, 0, 0)
	if err != nil {
		return err
	}
	for _, other := range m.w.nodes {
		if err := other.machine.Restore(image); err != nil {
			return err
		}
		other.wake()
	}
	return nil
}

func (m *member) HTTP() net.Listener { return m.port }

func (m *member) DialHTTP(ctx context.Context, node, addr string) (net.Conn, error) {
	for _, other := range m.w.nodes {
		if other.self.ID != node {
			continue
		}
		other.dials.Add(1)
		other.mu.Lock()
		down := other.down
		other.mu.Unlock()
		if down || addr != other.self.Address {
			return nil, errors.New("connection refused")
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
	return nil, fmt.Errorf("no node %s", node)
}

// fakeLogs holds lines by child. Followers get what is written later.
type fakeLogs struct {
	mu      sync.Mutex
	lines   map[string][]runner.LogLine
	changed chan struct{}
	opts    []runner.LogOptions
	fail    error // after the lines
}

func (f *fakeLogs) write(path, stream, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines == nil {
		f.lines = make(map[string][]runner.LogLine)
	}
	f.lines[path] = append(f.lines[path], runner.LogLine{Stream: stream, Text: text})
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *fakeLogs) state(path string, from int) (lines []runner.LogLine, changed chan struct{}, known bool, fail error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	all, known := f.lines[path]
	return all[min(from, len(all)):], f.changed, known, f.fail
}

func (f *fakeLogs) Logs(ctx context.Context, path string, opt runner.LogOptions, emit func(runner.LogLine) error) error {
	f.mu.Lock()
	f.opts = append(f.opts, opt)
	from := 0
	if opt.Tail < 0 {
		from = len(f.lines[path])
	}
	f.mu.Unlock()
	for {
		lines, changed, known, fail := f.state(path, from)
		if !known {
			return fmt.Errorf("cannot read logs of %s: %w", path, runner.ErrNoLogs)
		}
		for _, l := range lines {
			if err := emit(l); err != nil {
				return err
			}
		}
		from += len(lines)
		if !opt.Follow || fail != nil {
			return fail
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const shop = `name: shop
strategy: rest_for_one
children:
  - id: store
    run: [redis-server]
  - id: web
    supervisor: {strategy: one_for_all}
    children:
      - id: api
        run: ./api
        needs: {disk: ssd}
`

// get sends a bare request.
func get(t *testing.T, method, url, body string, change ...func(*http.Request)) *http.Response {
	t.Helper()
	return must(http.DefaultClient.Do(newRequest(t, method, url, body, change...)))(t)
}
