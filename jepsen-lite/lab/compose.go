package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/clock"
)

// buildTime is for the image, which is built where it is missing.
const buildTime = 15 * time.Minute

// composed is a lab of containers: the project's docker-compose.yml, with an
// override that puts the data dirs on the lab's own disks.
type composed struct {
	cfg     Config
	can     Caps
	name    string // of the project
	docker  *docker
	project *project
	base    *base
	net     *tables
	nodes   []*composedNode
	closed  bool
}

// composeNodes are the services of docker-compose.yml.
const composeNodes = 3

func newComposed(cfg Config) (Lab, error) {
	if cfg.Nodes != composeNodes {
		return nil, unable("docker-compose.yml has %d nodes, and %d are asked for", composeNodes, cfg.Nodes)
	}
	if cfg.Project != "" {
		return nil, unable("a project that runs already keeps its data in volumes of its own, which a test would have to replace; leave --project out, and the lab makes one of its own")
	}
	if os.Getuid() != 0 {
		return nil, unable("entering the network of containers needs root")
	}
	l := &composed{
		cfg: cfg, name: fmt.Sprintf("selfware-lab-%d", os.Getpid()),
		can: CanKill | CanPause | CanFreeze | CanDiskFull,
	}
	var err error
	if l.docker, err = newDocker(); err != nil {
		return nil, err
	}
	if canTrace() {
		l.can |= CanDiskError
	}
	if _, err := exec.LookPath("iptables"); err == nil {
		l.can |= CanCut
		l.net = newTables(l)
	}
	if cfg.Clocks {
		l.can |= CanClock
	}
	if cfg.PowerCuts {
		l.can |= CanPowerCut
	}
	if l.base, err = newBase(true); err != nil {
		return nil, err
	}
	return l, nil
}

// Backend implements Lab.
func (l *composed) Backend() string { return "compose" }

// Can implements Lab.
func (l *composed) Can() Caps { return l.can }

// Witness implements Lab.
func (l *composed) Witness() Place { return Place{l.base.witness(), "/run/jepsen-lite"} }

// Network implements Lab.
func (l *composed) Network() Network {
	if l.net == nil {
		return nil
	}
	return l.net
}

// Nodes implements Lab.
func (l *composed) Nodes() []Node {
	all := make([]Node, len(l.nodes))
	for i, n := range l.nodes {
		all[i] = n
	}
	return all
}

// Start implements Lab.
func (l *composed) Start(ctx context.Context) error {
	root, err := Module()
	if err != nil {
		return err
	}
	for i := range composeNodes {
		if err := l.prepare("node" + strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	override := filepath.Join(l.base.dir, "override.yml")
	if err := l.write(ctx, override); err != nil {
		return err
	}
	if l.project, err = newProject(l.name, root, filepath.Join(root, "docker-compose.yml"), override); err != nil {
		return err
	}
	for i := range composeNodes {
		port, err := freePort()
		if err != nil {
			return err
		}
		l.project.env = append(l.project.env, fmt.Sprintf("API_PORT%d=%d", i+1, port))
	}
	if exec.CommandContext(ctx, "docker", "image", "inspect", l.image()).Run() != nil {
		if _, err := l.project.run(ctx, buildTime, "build", "node1"); err != nil {
			return fmt.Errorf("cannot build the image (scripts/build-base-images.sh makes its base where no registry can be reached): %w", err)
		}
	}
	if _, err := l.project.run(ctx, startLimit, "up", "-d"); err != nil {
		return fmt.Errorf("cannot start the containers: %w", err)
	}
	for _, n := range l.nodes {
		id, err := l.project.run(ctx, startLimit, "ps", "-q", n.name)
		if err != nil {
			return err
		}
		n.id, n.boot = strings.TrimSpace(id), 1
	}
	return Settle(ctx, l, startLimit)
}

// image is the image as docker-compose.yml has it.
func (l *composed) image() string {
	if name := os.Getenv("SELFWARE_IMAGE"); name != "" {
		return name
	}
	return "selfware-node"
}

func freePort() (int, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("cannot find a free port: %w", err)
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port, nil
}

func (l *composed) prepare(name string) (err error) {
	n := &composedNode{lab: l, name: name, log: filepath.Join(l.cfg.Dir, name+".log")}
	n.http = n.client()
	if n.disk, err = l.base.disk(name, l.cfg.PowerCuts); err != nil {
		return err
	}
	if err := os.MkdirAll(n.DataDir(), 0o755); err != nil {
		return fmt.Errorf("cannot make a data dir: %w", err)
	}
	if l.cfg.Clocks {
		n.clock, err = openClock(filepath.Join(l.base.dir, name+".clock"))
	}
	l.nodes = append(l.nodes, n)
	return err
}

// write writes what differs from docker-compose.yml: where data is, the folder of
// the witness, and the binary and the clock where they were asked for.
func (l *composed) write(ctx context.Context, file string) error {
	binary := l.cfg.Binary
	if l.cfg.Clocks {
		binary = filepath.Join(l.base.dir, "selfware-node")
		if err := BuildClocks(ctx, binary, l.cfg.Tags); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	fmt.Fprintln(&out, "services:")
	for i, n := range l.nodes {
		fmt.Fprintf(&out, "  %s:\n    image: %q\n    volumes:\n", n.name, l.image())
		bind := func(here, there string) { fmt.Fprintf(&out, "      - %q\n", here+":"+there) }
		bind(n.DataDir(), "/var/lib/selfware")
		place := l.Witness()
		bind(place.Here, place.There)
		if binary != "" {
			path, err := filepath.Abs(binary)
			if err != nil {
				return fmt.Errorf("cannot find %s: %w", binary, err)
			}
			bind(path, "/usr/local/bin/selfware-node:ro")
		}
		if n.clock != nil {
			bind(n.clock.path, clock.DefaultPage)
		}
		if l.cfg.Profile != "" && l.cfg.Profile != "lan" {
			fmt.Fprintf(&out, "    command: %s\n", command(i, n.name, l.cfg.Profile))
		}
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write the override of docker-compose.yml: %w", err)
	}
	return nil
}

// command is that of docker-compose.yml with a profile.
func command(i int, name, profile string) string {
	first := "init"
	if i > 0 {
		first = "join, node1"
	}
	return fmt.Sprintf("[%s, --name, %s, --bind, 0.0.0.0, --token-file, /run/selfware/token, --profile, %s]", first, name, profile)
}

// Join implements Lab.
func (l *composed) Join(context.Context) (Node, error) {
	return nil, unable("docker-compose.yml has %d nodes and no more", composeNodes)
}

// Leave implements Lab.
func (l *composed) Leave(context.Context, Node) error {
	return unable("docker-compose.yml has %d nodes and no less", composeNodes)
}

// Upgrade implements Lab.
func (l *composed) Upgrade(context.Context, Node) error {
	return unable("the binary of a container is its image's")
}

// PowerCut implements Lab.
func (l *composed) PowerCut(_ context.Context, nodes ...Node) (Lost, error) {
	if !l.can.Has(CanPowerCut) {
		return Lost{}, unable("disks are no images of their own: Config.PowerCuts")
	}
	disks := make([]*disk, len(nodes))
	for i, n := range nodes {
		disks[i] = n.(*composedNode).disk
	}
	return cutAll(nodes, disks)
}

// Close implements Lab.
func (l *composed) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, n := range l.nodes {
		n.http.CloseIdleConnections()
		if n.id != "" {
			errs = append(errs, n.saveLog())
		}
		if n.clock != nil {
			errs = append(errs, n.clock.page.Close())
		}
	}
	if l.project != nil {
		_, err := l.project.run(context.Background(), 2*time.Minute, "down", "-v", "--remove-orphans", "-t", "1")
		errs = append(errs, err)
	}
	return errors.Join(append(errs, l.base.remove())...)
}
