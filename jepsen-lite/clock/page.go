package clock

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageSize is the size of the file.
const pageSize = 4096

// layout is the page as the overlay of the runtime knows it.
type layout struct {
	slot  uint32 // 0: right; 1 and 2: as that slot says
	_     uint32
	reads uint64
	slots [2]slot
}

// slot is one way to be wrong, in nanoseconds. The monotonic clock shows
// real + mono + (real-base)*rate/1e6.
type slot struct{ wall, base, mono, rate int64 }

// Fault is how clocks are wrong.
type Fault struct {
	Wall time.Duration // added to the time of day
	Mono time.Duration // added to the monotonic and boot time clocks
	Rate int64         // parts per million that these run faster
}

// step is what each change adds to the monotonic clock, so that the moment
// between reckoning and setting never takes it back.
const step = int64(time.Millisecond)

// Page is a file by which the clocks of all processes that use it are set. One
// goroutine sets it.
type Page struct {
	mem []byte
	at  *layout
}

// Open makes or opens a page.
func Open(path string) (*Page, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err == nil {
		defer f.Close()
		err = f.Truncate(pageSize)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a clock: %w", err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map a clock: %w", err)
	}
	return &Page{mem: mem, at: (*layout)(unsafe.Pointer(&mem[0]))}, nil
}

// monotonic is the true clock.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for unknown clocks only
	return ts.Nano()
}

// Set makes the clocks wrong from now on, in place of how they were. What Mono
// and Rate have added so far stays, as a monotonic clock does not go back: Mono
// is added once, and a zero Fault leaves the monotonic clock ahead.
func (p *Page) Set(f Fault) {
	p.set(f, monotonic())
}

func (p *Page) set(f Fault, now int64) {
	old := slot{}
	active := atomic.LoadUint32(&p.at.slot)
	if active != 0 {
		old = p.at.slots[active-1]
	}
	ahead := old.mono + shift(old, now)
	next := slot{wall: int64(f.Wall), base: now, mono: ahead + int64(f.Mono), rate: f.Rate}
	if old.rate != f.Rate {
		next.mono += step
	}
	if next == (slot{base: now}) && active == 0 {
		return
	}
	use := active%2 + 1 // the slot that nobody reads
	p.at.slots[use-1] = next
	atomic.StoreUint32(&p.at.slot, use)
}

// shift is what a slot's rate has added by now.
func shift(s slot, now int64) int64 { return (now - s.base) / 1000 * s.rate / 1000 }

// Ahead is how far the monotonic clock is from the true one now.
func (p *Page) Ahead() time.Duration {
	active := atomic.LoadUint32(&p.at.slot)
	if active == 0 {
		return 0
	}
	s := p.at.slots[active-1]
	return time.Duration(s.mono + shift(s, monotonic()))
}

// Reads counts how often a clock was read that was wrong.
func (p *Page) Reads() uint64 { return atomic.LoadUint64(&p.at.reads) }

// Close lets go of the page; processes that use it go on with it as it is.
func (p *Page) Close() error { return unix.Munmap(p.mem) }
