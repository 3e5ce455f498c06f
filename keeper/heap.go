package keeper

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapSlack is how much garbage there may be besides as much as is in use.
	heapSlack = 8 << 20
	// heapAge is how often a keeper without work looks at its garbage.
	heapAge = time.Minute
)

// heap is the keeper's memory. Its main thread forks and executes with system calls
// that Go's runtime knows nothing of: until they return, and a file system that hangs
// may keep them, the runtime believes that the thread is computing. Whatever has to
// stop all threads then waits for it, with all others stopped already, also the one
// that keeps deadlines. So only the main thread collects garbage, between two forks,
// and there is a processor for the others.
type heap struct {
	sample [1]metrics.Sample
	used   uint64 // after the last collection
}

// own takes the collection of garbage from the runtime.
func (h *heap) own() {
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))) // and no more changes of it: they stop all threads too
	debug.SetGCPercent(-1)
	h.sample[0].Name = "/memory/classes/heap/objects:bytes"
}

func (h *heap) size() uint64 {
	metrics.Read(h.sample[:])
	return h.sample[0].Value.Uint64()
}

// collect collects garbage if there is much. It returns when that is done.
func (h *heap) collect() {
	if h.size() < 2*h.used+heapSlack {
		return
	}
	runtime.GC()
	h.used = h.size()
}
