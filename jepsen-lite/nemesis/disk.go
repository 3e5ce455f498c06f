package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

var disks = []kind{
	{name: "disk-error-fsync", line: "every fsync of a node's agent fails with EIO", needs: lab.CanDiskError, target: One, uses: theDisk | theRunning, strike: badDisk("fsync,fdatasync:error=EIO", "every fsync fails")},
	{name: "disk-error-write", line: "every pwrite of a node's agent fails with EIO", needs: lab.CanDiskError, target: One, uses: theDisk | theRunning, strike: badDisk("pwrite64:error=EIO", "every pwrite fails")},
	{name: "disk-error-leader", line: "every fsync of the leader's agent fails with EIO", needs: lab.CanDiskError, target: Leader, uses: theDisk | theRunning, strike: badDisk("fsync,fdatasync:error=EIO", "every fsync fails")},
	{name: "disk-slow", line: "every fsync of a node's agent takes 200 ms more", needs: lab.CanDiskError, target: One, uses: theDisk | theRunning, strike: badDisk("fsync,fdatasync:delay_enter=200000", "every fsync takes 200 ms more")},
	{name: "disk-stall", line: "every fsync of the leader's agent hangs for 30 s (raft#503)", needs: lab.CanDiskError, target: Leader, uses: theDisk | theRunning, strike: badDisk("fsync,fdatasync:delay_enter=30000000", "every fsync hangs for 30 s")},
	{name: "disk-no-space", line: "every write that would grow a file of a node's agent fails with ENOSPC", needs: lab.CanDiskError, target: One, uses: theDisk | theRunning, strike: badDisk("pwrite64,ftruncate,fallocate:error=ENOSPC", "the disk says that it is full")},
	{name: "disk-full", line: "a node's disk is filled to the last block", needs: lab.CanDiskFull, target: One, uses: theDisk, strike: fullDisk},
	{name: "power-cut", line: "one node loses power: what was not synced is gone", needs: lab.CanPowerCut, target: One, uses: theDisk | theLives, strike: powerCut},
	{name: "power-cut-majority", line: "a majority loses power at one instant", needs: lab.CanPowerCut, target: Majority, uses: theDisk | theLives, strike: powerCut, big: true},
	{name: "power-cut-all", line: "all nodes lose power at one instant", needs: lab.CanPowerCut, target: All, uses: theDisk | theLives, strike: powerCut, big: true},
}

// badDisk makes system calls of agents fail or last, also those of the agents
// that are started anew, until healing.
func badDisk(inject, what string) func(context.Context, *strike) error {
	return func(_ context.Context, s *strike) error {
		s.says("%s on %s", what, list(s.nodes))
		s.traits(func(t *Traits) { t.Down = true })
		s.revive()
		tracers := make(map[string]*tracer)
		s.undo(func(context.Context) error {
			for _, t := range tracers {
				if t.ended() {
					s.saw("agents that ended", 1)
				}
				t.stop()
				s.saw("calls failed or delayed", t.hits.Swap(0))
			}
			return nil
		})
		for _, n := range s.nodes {
			if _, err := agentOf(n); err != nil {
				return fmt.Errorf("%s: %w", n.Name(), err)
			}
			if err := s.follow(n, tracers, inject); err != nil {
				return err
			}
		}
		s.loop.start(func(quit <-chan struct{}) (bool, error) {
			for _, n := range s.nodes {
				// An agent that ends while strace comes to it is followed by the next.
				_ = s.follow(n, tracers, inject)
			}
			return !rest(quit, 20*time.Millisecond), nil
		})
		return nil
	}
}

// follow sees to it that the agent that a node has now is traced, and counts what
// was done.
func (s *strike) follow(n lab.Node, tracers map[string]*tracer, inject string) error {
	old := tracers[n.Name()]
	if old != nil {
		s.saw("calls failed or delayed", old.hits.Swap(0))
	}
	agent, err := n.Agent() // if there is none, the next look may find one
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name(), err)
	}
	if old != nil && old.of == agent && !old.ended() {
		return nil
	}
	if old != nil {
		s.saw("agents that ended", 1)
		old.stop()
	}
	delete(tracers, n.Name())
	t, err := trace(agent, inject)
	if err != nil {
		return err
	}
	tracers[n.Name()] = t
	return nil
}

func fullDisk(_ context.Context, s *strike) error {
	s.says("disk of %s full", list(s.nodes))
	s.traits(func(t *Traits) { t.Down = true })
	s.revive()
	for _, n := range s.nodes {
		d := n.Disk()
		if d == nil {
			return fmt.Errorf("%s has no disk of its own", n.Name())
		}
		s.undo(func(context.Context) error { return d.Free() })
		bytes, err := d.Fill()
		if err != nil {
			return err
		}
		s.saw("bytes filled", uint64(bytes))
	}
	return nil
}

func powerCut(ctx context.Context, s *strike) error {
	s.says("power of %s cut", list(s.nodes))
	s.traits(func(t *Traits) { t.Down = true })
	s.revive()
	lost, err := s.lab.PowerCut(ctx, s.nodes...)
	if err != nil {
		return err
	}
	s.saw("disks that lost what was not synced", lost.Gone)
	if n := uint64(len(s.nodes)); lost.Kept != n {
		return errors.New("a disk of the lab lost what was synced: this is no power cut")
	}
	return nil
}
