package witness

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// Pace is the time between two beats.
const Pace = 20 * time.Millisecond

// Script is how a witness behaves.
type Script struct {
	Socket string
	// Crash is the mean time after which it crashes; 0 never. Exit is its code then.
	Crash time.Duration
	Exit  int
	// Deaf ignores SIGTERM, Linger is how long it takes to obey it.
	Deaf   bool
	Linger time.Duration
	// Count is the time between two attempts at the register; 0 makes none.
	Count time.Duration
}

// Args are the arguments that give a witness this script.
func (s Script) Args() []string {
	args := []string{"witness", "-socket", s.Socket}
	for name, d := range map[string]time.Duration{"-crash": s.Crash, "-linger": s.Linger, "-count": s.Count} {
		if d > 0 {
			args = append(args, name, d.String())
		}
	}
	if s.Exit != 0 {
		args = append(args, "-exit", fmt.Sprint(s.Exit))
	}
	if s.Deaf {
		args = append(args, "-deaf")
	}
	return args
}

// Main is `jepsen-lite witness`: it plays the script and gives the exit code.
func Main(args []string) int {
	var s Script
	flags := flag.NewFlagSet("witness", flag.ContinueOnError)
	flags.StringVar(&s.Socket, "socket", "", "socket of the tester")
	flags.DurationVar(&s.Crash, "crash", 0, "mean time to a crash")
	flags.IntVar(&s.Exit, "exit", 1, "exit code of a crash")
	flags.BoolVar(&s.Deaf, "deaf", false, "ignore SIGTERM")
	flags.DurationVar(&s.Linger, "linger", 0, "time to stop")
	flags.DurationVar(&s.Count, "count", 0, "time between two attempts at the register")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	code, err := play(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
	}
	return code
}

// lost is the exit code of a witness that has no tester.
const lost = 3

// child is a witness at work; one goroutine owns it.
type child struct {
	Script
	conn  net.Conn
	heard chan string // lines of the tester
	end   *time.Timer // the crash, or the end of Linger
	code  int         // when end comes
	calm  bool
}

func play(s Script) (code int, err error) {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGTERM)
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		return lost, fmt.Errorf("cannot reach the tester: %w", err)
	}
	defer conn.Close()
	c := &child{Script: s, conn: conn, heard: make(chan string, 8), end: time.NewTimer(time.Hour), code: s.Exit}
	me := self()
	if s.Crash > 0 {
		c.end.Reset(drawn(me, s.Crash))
	}
	if err := json.NewEncoder(conn).Encode(me); err != nil {
		return lost, err
	}
	go listen(conn, c.heard)
	return c.run(asked)
}

// drawn is when a life crashes: exponential, and the same for the same life.
func drawn(me history.Beat, mean time.Duration) time.Duration {
	h := fnv.New64a()
	io.WriteString(h, me.Child)
	rng := rand.New(rand.NewPCG(h.Sum64(), me.Epoch))
	return max(Pace, time.Duration(rng.ExpFloat64()*float64(mean)))
}

// listen hands on what the tester says, and its silence.
func listen(conn net.Conn, heard chan<- string) {
	defer close(heard)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		heard <- lines.Text()
	}
}

func (c *child) run(asked <-chan os.Signal) (int, error) {
	beat := time.NewTicker(Pace)
	defer beat.Stop()
	var count <-chan time.Time
	if c.Count > 0 {
		counter := time.NewTicker(c.Count)
		defer counter.Stop()
		count = counter.C
	}
	for {
		var err error
		select {
		case <-beat.C:
			err = c.say("here")
		case <-count:
			err = c.say("add")
		case line, ok := <-c.heard:
			if err = errLost; ok {
				err = c.hear(line)
			}
		case <-asked:
			if err = c.say("term"); c.Deaf {
				break
			}
			c.code = 0
			c.end.Reset(c.Linger)
			count = nil
		case <-c.end.C:
			return c.code, c.say("ends")
		}
		if err != nil {
			return lost, err
		}
	}
}

var errLost = errors.New("the tester is gone")

// hear obeys the tester: "calm" ends all crashes.
func (c *child) hear(line string) error {
	if word, _, _ := strings.Cut(line, " "); word == "calm" && !c.calm {
		c.calm = true
		if c.code != 0 {
			c.end.Stop()
		}
	}
	return nil
}

func (c *child) say(what string) error {
	_, err := fmt.Fprintf(c.conn, "%s %d\n", what, history.Now())
	return err
}

// self is who this process is, as the cluster told it.
func self() history.Beat {
	b := history.Beat{
		Time: history.Now(), Type: history.Born, PID: os.Getpid(),
		Child: os.Getenv("SELFWARE_CHILD"), Node: os.Getenv("SELFWARE_NODE"), Reason: os.Getenv("SELFWARE_START_REASON"),
	}
	b.Generation, b.Epoch = epoch(os.Getenv("SELFWARE_EPOCH"))
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // says less without it
	b.Boot = strings.TrimSpace(string(boot))
	return b
}

// epoch reads an epoch as children get it: alone, or after its generation; the
// epoch itself is one number, or log index and position.
func epoch(text string) (generation, number uint64) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	n := make([]uint64, len(parts))
	for i, p := range parts {
		fmt.Sscan(p, &n[i])
	}
	switch len(n) {
	case 1:
		return 0, n[0]
	case 2:
		return n[0], n[1]
	case 3:
		return n[0], n[1]<<16 | n[2]
	}
	return 0, 0
}
