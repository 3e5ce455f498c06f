package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/node"
)

// lab holds what rows measure with: births, a child, and the clusters of one
// profile at a time. Rows share the clusters that run already.
type lab struct {
	self   string
	dir    string
	log    io.Writer
	births *births
	argv   []string // of a child; its name is added

	profile gossip.Profile
	count   int // of clusters started; each has a folder of its own
	mine    *ours
	base    *bareCluster
	results []Result
}

// newLab makes the temporary folder and listens for children.
func newLab(cfg Config) (*lab, error) {
	dir, err := os.MkdirTemp("", "selfware-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	l := &lab{self: cfg.Self, dir: dir, log: cfg.Progress}
	socket := filepath.Join(dir, "births")
	l.argv, err = childArgv(cfg.Child, cfg.Self, dir, socket)
	if err == nil {
		l.births, err = listenBirths(socket)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

// close ends everything that was started and removes the folder.
func (l *lab) close() error {
	l.stopClusters()
	// All children died with their supervisors; this is for the one that was
	// just being forked.
	for _, pid := range leftovers(l.dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	l.births.close()
	return os.RemoveAll(l.dir)
}

func (l *lab) stopClusters() {
	if l.mine != nil {
		l.mine.stop()
	}
	if l.base != nil {
		l.base.stop()
	}
	l.mine, l.base = nil, nil
}

// use makes sure that clusters of a profile run.
func (l *lab) use(ctx context.Context, profile gossip.Profile) error {
	if l.profile == profile && l.mine != nil {
		return nil
	}
	return l.fresh(ctx, profile)
}

// fresh starts clusters that have seen nothing yet.
func (l *lab) fresh(ctx context.Context, profile gossip.Profile) error {
	l.stopClusters()
	l.profile = profile
	l.count++
	dir := filepath.Join(l.dir, fmt.Sprint(l.count))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l.say("starting three nodes and three bare ones, profile %s", profile)
	block, err := freeBlock()
	if err != nil {
		return err
	}
	if l.base, err = startBare(ctx, l.self, dir, block+1, profile); err != nil {
		return err
	}
	l.mine, err = startOurs(ctx, l.self, dir, block, profile)
	return err
}

// addrOf is the address of a node of a cluster.
func addrOf(block, i int) string { return fmt.Sprintf("127.0.%d.%d", block, i+1) }

// freeBlock finds loopback addresses for two clusters, so that two benchmarks
// can run on one machine.
func freeBlock() (block int, err error) {
	for block = 91; block < 111; block += 2 {
		var errs []error
		for _, b := range []int{block, block + 1} {
			lis, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addrOf(b, 0), node.ClusterPort))
			if err == nil {
				err = lis.Close()
			}
			errs = append(errs, err)
		}
		if err = errors.Join(errs...); err == nil {
			return block, nil
		}
	}
	return 0, fmt.Errorf("cannot find free loopback addresses: %w", err)
}

func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.log, format+"\n", args...)
}

func (l *lab) report(r Result) {
	r.judge()
	l.results = append(l.results, r)
	l.say("  %s", r.line())
}
