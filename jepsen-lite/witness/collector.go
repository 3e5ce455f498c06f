package witness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

const (
	// rest is how often a life that goes on as it did is written down.
	rest = 200 * time.Millisecond
	// stall is the time between two beats that is written down with both its ends.
	stall = 5 * Pace
	// trusted is how late a beat may arrive for its own stamp to be believed.
	trusted = time.Minute
)

// Collector listens to the witnesses and writes down what they tell.
type Collector struct {
	lis      *net.UnixListener
	beats    *history.Stream[history.Beat]
	attempts *history.Stream[history.Attempt]
	readers  sync.WaitGroup

	mu        sync.Mutex
	lives     int
	now       map[int]*life // that run
	registers map[string]*register
	calm      bool
	closed    bool
}

// life is a witness that is connected.
type life struct {
	history.Beat // born
	conn         net.Conn
	last         history.Time // it was here
	written      history.Time // the last of those that was written down
}

// register counts, for the newest epoch that it has seen.
type register struct{ generation, epoch, value uint64 }

// Collect listens on a socket in folder place, and records into folder dir.
func Collect(place, name, dir string) (*Collector, error) {
	c := &Collector{now: make(map[int]*life), registers: make(map[string]*register)}
	var err error
	path := filepath.Join(place, name)
	if c.lis, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		return nil, fmt.Errorf("cannot listen to witnesses: %w", err)
	}
	if err := os.Chmod(path, 0o777); err != nil { // children may be other users
		return nil, fmt.Errorf("cannot listen to witnesses: %w", err)
	}
	if c.beats, err = history.Create[history.Beat](dir, history.FileBeats); err != nil {
		return nil, err
	}
	if c.attempts, err = history.Create[history.Attempt](dir, history.FileAttempts); err != nil {
		return nil, err
	}
	c.readers.Go(c.accept)
	return c, nil
}

func (c *Collector) accept() {
	for {
		conn, err := c.lis.Accept()
		if err != nil {
			return // closed
		}
		c.readers.Go(func() { c.read(conn) })
	}
}

// read follows one life to its end.
func (c *Collector) read(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	if !lines.Scan() {
		return
	}
	l := &life{conn: conn}
	if json.Unmarshal(lines.Bytes(), &l.Beat) != nil || !c.born(l) {
		return
	}
	for lines.Scan() {
		word, stamp, _ := strings.Cut(lines.Text(), " ")
		at, now := history.Time(0), history.Now()
		fmt.Sscan(stamp, &at)
		if at > now || now.Sub(at) > trusted {
			at = now
		}
		c.heard(l, word, at)
	}
	c.gone(l)
}

func (c *Collector) born(l *life) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.lives++
	l.Life = c.lives
	l.last, l.written = l.Time, l.Time
	c.now[l.Life] = l
	c.beats.Put(l.Beat)
	if c.calm {
		fmt.Fprintln(l.conn, "calm")
	}
	return true
}

func (c *Collector) heard(l *life, word string, at history.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch word {
	case "add":
		c.attempt(l, at)
		fallthrough
	case "here":
		if at.Sub(l.last) > stall {
			c.catchUp(l)
		}
		stalled := at.Sub(l.last) > stall
		l.last = at
		if stalled || at.Sub(l.written) >= rest {
			c.catchUp(l)
		}
	case "term", "ends":
		c.catchUp(l)
		l.last, l.written = at, at
		c.beats.Put(history.Beat{Time: at, Type: map[string]history.BeatType{"term": history.Term, "ends": history.Ends}[word], Life: l.Life})
	}
}

// catchUp writes down when the life was last here.
func (c *Collector) catchUp(l *life) {
	if l.last > l.written {
		c.beats.Put(history.Beat{Time: l.last, Type: history.Here, Life: l.Life})
		l.written = l.last
	}
}

// attempt adds one to the register of the life's child, unless its epoch is old.
func (c *Collector) attempt(l *life, at history.Time) {
	r := c.registers[l.Child]
	if r == nil {
		r = &register{}
		c.registers[l.Child] = r
	}
	newer := l.Generation > r.generation || l.Generation == r.generation && l.Epoch >= r.epoch
	if newer {
		r.generation, r.epoch = l.Generation, l.Epoch
		r.value++
	}
	c.attempts.Put(history.Attempt{
		Time: at, Life: l.Life, Child: l.Child, Generation: l.Generation, Epoch: l.Epoch, Accepted: newer, Value: r.value,
	})
}

func (c *Collector) gone(l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(l)
	delete(c.now, l.Life)
	c.beats.Put(history.Beat{Time: history.Now(), Type: history.Gone, Life: l.Life})
}

// Calm ends all crashes by script, for good.
func (c *Collector) Calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = true
	for _, l := range c.now {
		fmt.Fprintln(l.conn, "calm")
	}
}

// Running counts the lives of each child that run now.
func (c *Collector) Running() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := make(map[string]int)
	for _, l := range c.now {
		n[l.Child]++
	}
	return n
}

// Lives is how many lives there were.
func (c *Collector) Lives() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lives
}

// Close ends the collection. Witnesses that still run end by themselves.
func (c *Collector) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, l := range c.now {
		l.conn.Close()
	}
	c.mu.Unlock()
	c.lis.Close()
	c.readers.Wait()
	if err := c.beats.Close(); err != nil {
		return err
	}
	return c.attempts.Close()
}
