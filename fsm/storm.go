package fsm

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// When a great many children crash at once, all over the cluster, restarts at once
// would keep what they share (a database, a network, the log) down. The first
// stormBurst restarts after crashes are free; beyond, they are given stormRate a
// second of cluster time, over all trees, and wait stormMost longer at most. All
// that must be remembered of it is one time.
const (
	stormRate  = 500
	stormBurst = 1000
	stormMost  = 60 * time.Second
	stormGap   = time.Second / stormRate
)

// jitterPart: a back-off is shortened by up to 1/jitterPart of it, so that children
// that crashed together do not come back together. Never lengthened: package spec
// refuses back-offs that add up to more than the window, and what it let pass must
// still be able to spend its budget.
const jitterPart = 10

// pace is a supervisor.Pace.
func (s *state) pace(path string, epoch supervisor.Epoch, delay time.Duration) (time.Duration, string) {
	delay -= jitter(path, epoch, delay)
	free := max(s.storm, s.clock)
	s.storm = free + stormGap
	wait := min(free-s.clock-stormBurst*stormGap, stormMost)
	if wait <= 0 {
		return delay, ""
	}
	return delay + wait, fmt.Sprintf("restarts are paced: more than %d a second in the cluster", stormRate)
}

// jitter is what is taken off a back-off, in whole milliseconds.
func jitter(path string, epoch supervisor.Epoch, delay time.Duration) time.Duration {
	most := uint64(delay / jitterPart / time.Millisecond)
	if delay <= 0 || most == 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(path))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(epoch)))
	return time.Duration(scramble(h.Sum64())%(most+1)) * time.Millisecond
}

// scramble spreads what FNV leaves close together (the finaliser of MurmurHash3).
func scramble(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
