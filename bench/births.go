package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// now is CLOCK_MONOTONIC, which all processes of a machine share.
func now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for unknown clocks only
	return time.Duration(ts.Nano())
}

// birth is what a child tells: when its first instruction ran, and who it is.
type birth struct {
	at   time.Duration
	pid  int
	name string
}

// births collects what children tell on a unix socket.
type births struct {
	conn *net.UnixConn
	wg   sync.WaitGroup

	mu      sync.Mutex
	last    map[string]birth
	waiters map[*waiter]bool
}

// waiter waits for one birth of each of some names.
type waiter struct {
	b       *births
	after   time.Duration
	missing map[string]bool
	got     map[string]birth
	done    chan struct{}
}

func listenBirths(path string) (*births, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for children: %w", err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	b := &births{conn: conn, last: make(map[string]birth), waiters: make(map[*waiter]bool)}
	b.wg.Go(b.receive)
	return b, nil
}

func (b *births) close() {
	b.conn.Close()
	b.wg.Wait()
}

func (b *births) receive() {
	buf := make([]byte, 1024)
	for {
		n, err := b.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if born, ok := parseBirth(buf[:n]); ok {
			b.add(born)
		}
	}
}

// parseBirth reads seconds, nanoseconds, pid (8 bytes each) and a name.
func parseBirth(msg []byte) (birth, bool) {
	if len(msg) < 25 {
		return birth{}, false
	}
	word := func(i int) int64 { return int64(binary.NativeEndian.Uint64(msg[i:])) }
	at := time.Duration(word(0))*time.Second + time.Duration(word(8))
	return birth{at, int(word(16)), strings.TrimRight(string(msg[24:]), "\x00")}, true
}

func (b *births) add(born birth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[born.name] = born
	for w := range b.waiters {
		if w.missing[born.name] && born.at > w.after {
			delete(w.missing, born.name)
			w.got[born.name] = born
			w.finish()
		}
	}
}

// pid is the process that last had a name.
func (b *births) pid(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[name].pid
}

// expect begins to wait for one birth of each name, from now on.
func (b *births) expect(names ...string) *waiter {
	w := &waiter{b: b, after: now(), missing: make(map[string]bool), got: make(map[string]birth), done: make(chan struct{})}
	for _, n := range names {
		w.missing[n] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters[w] = true
	w.finish()
	return w
}

// finish closes done once nothing is missing. Under mu.
func (w *waiter) finish() {
	if len(w.missing) == 0 && w.b.waiters[w] {
		delete(w.b.waiters, w)
		close(w.done)
	}
}

// wait gives the births once all are there. limit bounds the wait.
func (w *waiter) wait(ctx context.Context, limit time.Duration) (map[string]birth, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	select {
	case <-w.done:
		return w.got, nil
	case <-ctx.Done():
	}
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	delete(w.b.waiters, w)
	if len(w.missing) == 0 {
		return w.got, nil
	}
	some := ""
	for name := range w.missing {
		some = max(some, name)
	}
	return nil, fmt.Errorf("%d of %d children did not start, such as %s: %w", len(w.missing), len(w.missing)+len(w.got), some, context.Cause(ctx))
}

// lastOf is the moment of the latest birth.
func lastOf(got map[string]birth) time.Duration {
	var last time.Duration
	for _, b := range got {
		last = max(last, b.at)
	}
	return last
}
