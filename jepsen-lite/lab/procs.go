package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/jepsen-lite/vswitch"
)

const (
	gossipPort, clusterPort, apiPort = 7400, 7401, 7402

	startLimit = 60 * time.Second // for all nodes to find each other
	stopLimit  = 30 * time.Second // for one to end in good order
	killLimit  = 10 * time.Second // for processes to be gone after SIGKILL
)

// procs is a lab of processes that the tester starts itself: each in a network
// namespace of its own (netns), or on a loopback address of its own (loopback).
type procs struct {
	cfg    Config
	can    Caps
	thread *thread
	sw     *vswitch.Switch // nil on loopback
	block  int             // third byte of all addresses
	base   *base

	mu    sync.Mutex
	nodes []*procNode

	token  string
	closed bool
}

// Backend implements Lab.
func (l *procs) Backend() string { return l.cfg.Backend }

// Can implements Lab.
func (l *procs) Can() Caps { return l.can }

// Witness implements Lab: the folder has one name.
func (l *procs) Witness() Place { return Place{l.base.witness(), l.base.witness()} }

// Network implements Lab.
func (l *procs) Network() Network {
	if l.sw == nil {
		return nil
	}
	return switched{l.sw}
}

// Nodes implements Lab.
func (l *procs) Nodes() []Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Node, len(l.nodes))
	for i, n := range l.nodes {
		all[i] = n
	}
	return all
}

// Start implements Lab.
func (l *procs) Start(ctx context.Context) error {
	if err := l.binary(ctx); err != nil {
		return err
	}
	for range l.cfg.Nodes {
		if _, err := l.add(ctx); err != nil {
			return err
		}
	}
	return Settle(ctx, l, startLimit)
}

// binary builds what nodes run, if it was not given.
func (l *procs) binary(ctx context.Context) error {
	if l.cfg.Binary != "" && !l.cfg.Clocks {
		path, err := filepath.Abs(l.cfg.Binary)
		l.cfg.Binary = path
		return err
	}
	l.cfg.Binary = filepath.Join(l.base.dir, "selfware-node")
	if l.cfg.Clocks {
		return BuildClocks(ctx, l.cfg.Binary, l.cfg.Tags)
	}
	return Build(ctx, l.cfg.Binary, l.cfg.Tags)
}

// add prepares a node and starts it; all but the first join the first that runs.
func (l *procs) add(ctx context.Context) (*procNode, error) {
	n, err := l.prepare(len(l.nodes) + 1)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	door := l.door()
	l.nodes = append(l.nodes, n)
	l.mu.Unlock()
	args := []string{"--data", n.dir, "--name", n.name, "--bind", n.ip, "--no-run"}
	if l.cfg.Profile != "" {
		args = append(args, "--profile", l.cfg.Profile)
	}
	if door == "" {
		args = append([]string{"init"}, args...)
	} else {
		args = append([]string{"join", door, "--token", l.token}, args...)
	}
	if _, err := n.cli(ctx, args...); err != nil {
		return nil, err
	}
	if door == "" {
		token, err := n.cli(ctx, "token", "--data", n.dir)
		if err != nil {
			return nil, err
		}
		l.token = strings.TrimSpace(token)
	}
	return n, n.Start(ctx)
}

// door is the address of a node that others can join.
func (l *procs) door() string {
	for _, n := range l.nodes {
		if _, err := n.Keeper(); err == nil && !n.Left() {
			return n.ip
		}
	}
	return ""
}

// prepare gives a node its place: network, disk and clock.
func (l *procs) prepare(number int) (*procNode, error) {
	n := &procNode{
		lab: l, name: "n" + strconv.Itoa(number), ip: l.address(number),
		log: filepath.Join(l.cfg.Dir, "n"+strconv.Itoa(number)+".log"),
	}
	var err error
	if l.sw != nil {
		if n.ns, err = l.wire(n.name, n.ip); err != nil {
			return nil, err
		}
	}
	if n.disk, err = l.base.disk(n.name, l.cfg.PowerCuts); err != nil {
		return nil, err
	}
	n.dir = filepath.Join(n.disk.mount(), "data")
	n.http = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64, DisableCompression: true, DialContext: n.dial,
	}}
	if l.cfg.Clocks {
		n.clock, err = openClock(filepath.Join(l.base.dir, n.name+".clock"))
	}
	return n, err
}

func (l *procs) address(number int) string {
	if l.sw != nil {
		return fmt.Sprintf("10.98.%d.%d", l.block, number)
	}
	return fmt.Sprintf("127.98.%d.%d", l.block, number)
}

// wire makes a namespace and plugs it into the switch.
func (l *procs) wire(name, ip string) (*vswitch.Namespace, error) {
	ns, err := vswitch.NewNamespace()
	if err != nil {
		return nil, unable("%v", err)
	}
	addr := netip.MustParseAddr(ip)
	dev, err := ns.Tun(netip.PrefixFrom(addr, 24), 1500)
	if err == nil {
		err = l.sw.Attach(name, addr, dev)
	}
	if err != nil {
		ns.Close()
		return nil, unable("%v", err)
	}
	return ns, nil
}

// Join implements Lab.
func (l *procs) Join(ctx context.Context) (Node, error) {
	n, err := l.add(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot join a node: %w", err)
	}
	return n, await(ctx, startLimit, n.name+" is alive", func() string {
		s, err := Status(ctx, l)
		if err != nil {
			return err.Error()
		}
		for _, other := range s.Nodes {
			if other.Name == n.name && other.Status == "alive" {
				return ""
			}
		}
		return "it is not"
	})
}

// Leave implements Lab.
func (l *procs) Leave(ctx context.Context, node Node) error {
	for _, n := range l.nodes {
		if _, err := n.Keeper(); err != nil || n.name == node.Name() || n.Left() {
			continue
		}
		if _, err := n.cli(ctx, "leave", node.Name(), "--data", n.dir); err != nil {
			return fmt.Errorf("cannot take %s out: %w", node.Name(), err)
		}
		gone := node.(*procNode)
		gone.mu.Lock()
		gone.left = true
		gone.mu.Unlock()
		return nil
	}
	return fmt.Errorf("cannot take %s out: there is no other node to ask", node.Name())
}

// PowerCut implements Lab.
func (l *procs) PowerCut(_ context.Context, nodes ...Node) (Lost, error) {
	if !l.can.Has(CanPowerCut) {
		return Lost{}, unable("disks are no images of their own: Config.PowerCuts")
	}
	disks := make([]*disk, len(nodes))
	for i, n := range nodes {
		disks[i] = n.(*procNode).disk
	}
	return cutAll(nodes, disks)
}

// Close implements Lab.
func (l *procs) Close() error {
	l.mu.Lock()
	nodes := slices.Clone(l.nodes)
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		return nil
	}
	var errs []error
	for _, n := range nodes {
		if _, err := n.Keeper(); err == nil {
			errs = append(errs, n.Kill())
		}
		n.http.CloseIdleConnections()
		if n.clock != nil {
			errs = append(errs, n.clock.page.Close())
		}
	}
	l.thread.close()
	if l.sw != nil {
		l.sw.Close()
	}
	for _, n := range nodes {
		if n.ns != nil {
			errs = append(errs, n.ns.Close())
		}
	}
	return errors.Join(append(errs, l.base.remove())...)
}

// cli runs the binary to its end in the node's network.
func (n *procNode) cli(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.program(), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	if err := n.lab.thread.start(cmd, n.ns); err != nil {
		return "", fmt.Errorf("cannot run selfware-node: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("selfware-node %s: %w: %s", args[0], err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

func (n *procNode) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	address := net.JoinHostPort(n.ip, strconv.Itoa(apiPort))
	if n.ns == nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp4", address)
	}
	return n.ns.Dial(ctx, "tcp4", address)
}

// switched is a switch as a Network.
type switched struct{ sw *vswitch.Switch }

// Set implements Network.
func (s switched) Set(from, to string, ports Ports, rule Rule) error {
	return s.sw.Set(from, to, uint8(ports), vswitch.Rule(rule))
}

// Heal implements Network.
func (s switched) Heal() error { s.sw.Heal(); return nil }

// Traffic implements Network.
func (s switched) Traffic(from, to string) (Traffic, error) {
	t, err := s.sw.Traffic(from, to)
	return Traffic(t), err
}

// newSwitch knows the ports of a node.
func newSwitch(seed uint64) *vswitch.Switch {
	return vswitch.New(vswitch.Config{Seed: seed, Other: uint8(Other), Ports: map[uint16]uint8{
		gossipPort: uint8(Gossip), clusterPort: uint8(Cluster), apiPort: uint8(API),
	}})
}

// newProcs makes the netns or the loopback lab, as far as this machine goes.
func newProcs(cfg Config) (Lab, error) {
	l := &procs{cfg: cfg, can: CanKill | CanPause | CanFreeze | CanJoin | CanUpgrade, block: os.Getpid()%250 + 1}
	root := os.Getuid() == 0
	if cfg.Backend == "netns" {
		if !root {
			return nil, unable("network namespaces need root; --backend loopback does not")
		}
		l.sw = newSwitch(cfg.Seed)
		l.can |= CanCut | CanShape
	}
	if cfg.PowerCuts && !root {
		return nil, unable("disk images need root")
	}
	var err error
	if l.base, err = newBase(root); err != nil {
		return nil, err
	}
	if root {
		l.can |= CanDiskFull
	}
	if cfg.PowerCuts {
		l.can |= CanPowerCut
	}
	if cfg.Clocks {
		l.can |= CanClock
	}
	if canTrace() {
		l.can |= CanDiskError
	}
	l.thread = newThread()
	return l, nil
}

// canTrace tells whether strace is there to inject errors.
func canTrace() bool {
	_, err := exec.LookPath("strace")
	return err == nil
}

// Upgrade implements Lab: to a copy of the binary, and back at the next time.
func (l *procs) Upgrade(ctx context.Context, node Node) error {
	n := node.(*procNode)
	next := l.cfg.Binary
	if n.program() == next {
		next = filepath.Join(l.base.dir, "selfware-node.other")
		if err := copyOnce(l.cfg.Binary, next); err != nil {
			return err
		}
	}
	if _, err := n.cli(ctx, "upgrade", "--data", n.dir, "--binary", next); err != nil {
		return fmt.Errorf("cannot upgrade %s: %w", n.name, err)
	}
	n.mu.Lock()
	n.runs = next
	n.mu.Unlock()
	return nil
}

func copyOnce(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		return fmt.Errorf("cannot copy the binary: %w", err)
	}
	return nil
}
