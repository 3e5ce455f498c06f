package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/function/table"
	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/runner"
)

// This file is a whole node within another program. It has no keeper, and so no
// processes: its children are functions of the program (package function).

// Embed is what Start needs. Dir is required.
type Embed struct {
	// Dir is the data dir, of this node alone. What it needs and does not have yet is made.
	Dir string
	// Options are those of a new node; of one that has run before they must not differ
	// from what it has. By default it listens on 127.0.0.1, at the ports 7400 to 7402.
	Options
	// Join is host or host:port (the cluster's port, 7401) of a node of the cluster to
	// join, and Token the cluster's. Both empty: the node begins a cluster of its own.
	Join, Token string
	// Functions are registered before the cluster can know of the node, so what it finds
	// assigned when it comes back has its function at once. Register adds more.
	Functions map[string]cluster.Func
	// Version is what others are told of this program. Empty: "embedded".
	Version string
	// Logger may be nil: discard. What it wraps must not block: see Fatal.
	Logger *slog.Logger
	// Fatal is called when the program must not go on: an exclusive function has not
	// returned and the lease of its node is over, or the node's storage or state failed.
	// It must end the process at once, whatever else it does. Nil logs, and exits with 1
	// within 20 ms. With a hook that lets the program go on, exclusive children may run twice.
	Fatal func(error)

	// wrap, if set, gets each connection to and from other nodes. Tests cut nodes off.
	wrap func(net.Conn) (net.Conn, error)
}

// Validate says what is missing.
func (e *Embed) Validate() error {
	switch {
	case e.Dir == "":
		return errors.New("cannot start a node: Dir is empty; give it a data dir of its own")
	case (e.Join == "") != (e.Token == ""):
		return errors.New("cannot start a node: Join and Token belong together; the token of a cluster is in the data dir of each of its nodes")
	}
	return nil
}

// host is what an embedded node has in place of a keeper.
type host struct {
	functions function.Registry
	table     *table.Table
	record    *leftover.Record // the lock of the data dir

	wrap   func(net.Conn) (net.Conn, error)
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run; once done is closed
}

// Start starts a node within this program. It takes the data dir and the ports, or says
// why it cannot; finding the others, or a leader, goes on in the background. The node runs
// until ctx ends, Close, or a part of it fails: then Done is closed.
func Start(ctx context.Context, e Embed) (*Node, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	h := &host{wrap: e.wrap, done: make(chan struct{})}
	for _, name := range slices.Sorted(maps.Keys(e.Functions)) {
		if err := h.functions.Register(name, e.Functions[name]); err != nil {
			return nil, err
		}
	}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err := h.lock(&e); err != nil {
		return nil, err
	}
	if e.Version == "" {
		e.Version = "embedded"
	}
	if e.Fatal == nil {
		e.Fatal = e.exit
	}
	n, err := Open(e.Dir, Config{Logger: e.Logger, Version: e.Version, Fatal: e.Fatal, host: h})
	if err != nil {
		h.record.Close()
		return nil, err
	}
	ctx, h.cancel = context.WithCancel(ctx)
	go func() {
		defer close(h.done)
		defer h.cancel()
		h.err = n.Run(ctx)
		h.unlock()
	}()
	return n, nil
}

// prepare makes the data dir.
func (e *Embed) prepare() (err error) {
	if e.Join == "" {
		_, err = Init(e.Dir, e.Options)
		return err
	}
	_, err = Join(e.Dir, e.Join, e.Token, e.Options)
	return err
}

// exit ends the process even if nobody takes what it logs.
func (e *Embed) exit(err error) {
	time.AfterFunc(20*time.Millisecond, func() { os.Exit(1) })
	if e.Logger != nil {
		e.Logger.Error("the program must end", "why", err)
	}
	fmt.Fprintln(os.Stderr, "selfware:", err)
	os.Exit(1)
}

// lock takes the data dir, as a keeper does.
func (h *host) lock(e *Embed) (err error) {
	log := e.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	run := filepath.Join(e.Dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("cannot make the run folder: %w", err)
	}
	h.record, err = leftover.Open(run, "", log)
	return err
}

// unlock gives the data dir back once nothing of the node runs: the lives of a function
// that is stuck must not begin again beside it.
func (h *host) unlock() {
	if h.table == nil || len(h.table.Running()) == 0 {
		h.record.Close()
		return
	}
	go func() {
		<-h.table.Idle()
		h.record.Close()
	}()
}

// open makes the table, once the node has its ports. Processes that a keeper left in the
// data dir are killed then, as by the next keeper.
func (h *host) open(n *Node, fatal func(error)) (agent.Processes, error) {
	if _, err := h.record.Sweep(); err != nil {
		return nil, err
	}
	var err error
	h.table, err = table.New(table.Config{
		Node: n.settings.Name, Functions: &h.functions, Fatal: fatal, Logger: n.log.With("part", "functions"),
	})
	return h.table, err
}

// conn passes a connection through wrap; a nil host has none.
func (h *host) conn(c net.Conn, err error) (net.Conn, error) {
	if err != nil || h == nil || h.wrap == nil {
		return c, err
	}
	return h.wrap(c)
}

// port passes what a listener accepts through wrap.
func (h *host) port(lis net.Listener) net.Listener {
	if h == nil || h.wrap == nil {
		return lis
	}
	return wrapped{lis, h}
}

type wrapped struct {
	net.Listener
	host *host
}

func (w wrapped) Accept() (net.Conn, error) {
	for {
		c, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, err = w.host.conn(c, nil); err == nil {
			return c, nil
		}
	}
}

// functions are those of the program; nil if the node is not embedded.
func (n *Node) functions() *function.Registry {
	if n.host == nil {
		return nil
	}
	return &n.host.functions
}

// labels tell the functions; nil if the node is not embedded: then they do not change.
func (n *Node) labels() func() map[string]string {
	if n.host == nil {
		return nil
	}
	return func() map[string]string { return n.host.functions.Labels(n.settings.Labels) }
}

// introduceFunctions has the cluster told of each that is registered from now on.
func (n *Node) introduceFunctions() {
	if n.host != nil {
		n.host.functions.Notify(func(string) { n.agent.Introduce() })
	}
}

// began tells the keeper that the node runs; what it gives is closed when the keeper
// wants another agent.
func (n *Node) began() (yield <-chan struct{}) {
	if n.keeper == nil {
		return nil
	}
	n.runner.Running()
	return n.runner.Yield()
}

func (n *Node) runTable(ctx context.Context) error {
	if n.host != nil {
		return n.host.table.Run(ctx)
	}
	return n.runner.Run(ctx)
}

func (n *Node) logs() api.LogReader {
	if n.host != nil {
		return noLogs{}
	}
	return n.runner
}

// live lists the processes of the node; nil if it is embedded: it has none.
func (n *Node) live() func() []runner.Process {
	if n.host != nil {
		return nil
	}
	return n.runner.Live
}

// noLogs says where the logs of functions are.
type noLogs struct{}

func (noLogs) Logs(context.Context, string, runner.LogOptions, func(runner.LogLine) error) error {
	return fmt.Errorf("%w: it is a function, and logs where its program does", runner.ErrNoLogs)
}

// Register has children with func: name run as f on this node, among others. See
// cluster.Node.Register.
func (n *Node) Register(name string, f cluster.Func) error { return n.cluster.Register(name, f) }

// Cluster is the node's part in the cluster.
func (n *Node) Cluster() *cluster.Node { return n.cluster }

// Close ends an embedded node: its functions are told to end, the others hear that it
// goes, and it leaves the cluster for as long as it is not started again. It waits for all
// that, at most about 15 seconds. The error says what failed, functions that have not
// returned included (table.ErrStuck); the data dir stays locked until they have.
func (n *Node) Close() error {
	if n.host == nil {
		return errors.New("cannot close a node that is not embedded: end the context of Run")
	}
	n.host.cancel()
	<-n.host.done
	return n.host.err
}

// Done is closed when an embedded node has ended, by Close or by itself; Close then says
// why.
func (n *Node) Done() <-chan struct{} { return n.host.done }
