package keeper_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

// patience is the deadline of every wait for something real. It is reached only
// by a test that fails.
const patience = 20 * time.Second

func init() { runtime.LockOSThread() } // a keeper runs on the main thread

// TestMain makes the test binary serve as keeper, as agent and as child.
func TestMain(m *testing.M) {
	keeper.MaybeAnswer()
	if fd, ok := keeper.Connection(); ok {
		os.Exit(agentMain(fd, os.Args[1:]))
	}
	words, upgraded, err := keeper.Inherited()
	switch {
	case err != nil:
		fmt.Println(err)
		os.Exit(1)
	case upgraded:
		os.Exit(keeperMain(words))
	case len(os.Args) > 2 && os.Args[1] == "keeper":
		os.Exit(keeperMain(os.Args[2:]))
	case len(os.Args) > 2 && os.Args[1] == "echo":
		echoMain(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// keeperMain keeps a node: words are its data dir, and what its agents shall do.
func keeperMain(words []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if short, err := time.ParseDuration(os.Getenv("KEEPER_TEST_TRIAL")); err == nil {
		*keeper.TrialTime = short
	}
	code, err := keeper.Run(ctx, keeper.Config{
		Dir: words[0], Version: "v9", Words: words, Agent: append([]string{os.Args[0]}, words...),
		GroupsOnly: os.Getenv("KEEPER_TEST_GROUPS") != "", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Println(err)
	}
	return code
}

// echoMain is a child that answers on a unix socket.
func echoMain(path string) {
	lis, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := lis.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			for s := bufio.NewScanner(conn); s.Scan(); {
				fmt.Fprintln(conn, s.Text())
			}
		}()
	}
}

// actsAs begins the name of a binary whose agents do something else.
const actsAs = "acts-as-"

// agentMain is an agent: words are the data dir and what to do.
func agentMain(fd int, words []string) int {
	fmt.Println("agent", os.Getpid())
	what := words[1]
	exe, _ := os.Executable()
	other, isOther := strings.CutPrefix(filepath.Base(exe), actsAs)
	if isOther {
		what = other
	}
	a := &agent{conn: wire.NewConn(fd), dir: words[0], lives: make(map[string]int), end: make(chan int, 1)}
	defer a.conn.Shut() // listen may be at it
	if _, err := os.Stat(filepath.Join(a.dir, "broken")); err == nil && !isOther {
		what = "fails"
	}
	switch what {
	case "fails": // it never says that it runs
		a.send(&wire.Message{Op: wire.LastWord, Note: []byte("no such format")})
		return 7
	case "quits":
		return 0
	}
	a.send(&wire.Message{Op: wire.Attach})
	if what != "hangs" {
		a.send(&wire.Message{Op: wire.Sweep})
	}
	go a.listen(what)
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM)
	select {
	case <-term:
		return 0
	case code := <-a.end:
		return code
	}
}

type agent struct {
	conn  *wire.Conn
	dir   string
	lives map[string]int
	end   chan int
}

func (a *agent) send(all ...*wire.Message) {
	for _, m := range all {
		if err := a.conn.Send(m); err != nil {
			panic(err)
		}
	}
}

func (a *agent) listen(what string) {
	for {
		m, err := a.conn.Recv()
		if err != nil {
			return
		}
		switch m.Op {
		case wire.Life:
			fmt.Println("life", m.Key, m.PID)
			a.lives[m.Key] = m.PID
		case wire.Swept:
			a.begin(what)
		case wire.Spawned:
			fmt.Println("spawned", m.Key, m.PID)
		case wire.Failed:
			fmt.Println("failed", m.Key, m.Number)
		case wire.Exited:
			a.send(&wire.Message{Op: wire.Forget, Key: m.Key}) // first: who reads the word may kill this
			fmt.Println("exited", m.Key, m.Number, m.Fenced)
		case wire.Yield:
			fmt.Println("yields")
			a.end <- 9
		}
	}
}

// begin does what the test wants of an agent.
func (a *agent) begin(what string) {
	a.send(&wire.Message{Op: wire.Running})
	fmt.Println("runs")
	name, count, _ := strings.Cut(what, ":")
	n, _ := strconv.Atoi(count)
	switch name {
	case "crashes":
		a.end <- 3
	case "over":
		a.end <- keeper.Over
	case "ends":
		a.end <- 0
	case "children":
		a.send(&wire.Message{Op: wire.Hold, Number: int64(wire.BootTime() + time.Hour)})
		for i := range n {
			if key := strconv.Itoa(i); a.lives[key] == 0 {
				a.spawn(key, i%2 == 1, "/proc/self/exe", "echo", filepath.Join(a.dir, key))
			}
		}
	case "sleepers":
		for i := range n {
			a.sleeper(strconv.Itoa(i))
		}
	case "leased":
		if len(a.lives) == 0 {
			a.send(&wire.Message{Op: wire.Hold, Number: int64(wire.BootTime() + 1500*time.Millisecond)})
			a.spawn(name, true, "/bin/sleep", "1000")
		}
	case "stuck":
		a.send(&wire.Message{Op: wire.Hold, Number: int64(wire.BootTime() + 1500*time.Millisecond)})
		a.spawn("before", true, "/bin/sleep", "1000")
		a.spawn(name, true, filepath.Join(a.dir, name), "1000")
		for range 200 { // garbage for the keeper
			a.send(&wire.Message{Op: wire.Note, Key: "before", Note: make([]byte, wire.MaxNote)})
		}
	case "daemon":
		helper := filepath.Join(a.dir, "helper")
		a.spawn("daemon", false, "/bin/sh", "-c", "setsid env -i /bin/sh -c 'echo $$ > "+helper+"; exec /bin/sleep 1000' & while :; do read x < "+helper+" && break; done; exec sleep 1000")
	}
}

func (a *agent) spawn(key string, exclusive bool, argv ...string) {
	a.send(&wire.Message{Op: wire.Spawn, Key: key, Exclusive: exclusive, Spec: &wire.Spec{
		Path: argv[0], Argv: argv, Umask: -1, Files: []int{-1, -1, -1},
	}})
}

// sleeper begins a child with pipes that the keeper keeps, as real ones have.
func (a *agent) sleeper(key string) {
	m := &wire.Message{Op: wire.Spawn, Key: key, Note: make([]byte, 200), Spec: &wire.Spec{
		Path: "/bin/sleep", Argv: []string{"sleep", "1000"}, Umask: -1, Files: []int{-1, 0, 1}, Keep: 2,
	}}
	var kept []int
	for range 2 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			panic(err)
		}
		m.FDs, kept = append(m.FDs, p[1]), append(kept, p[0])
	}
	m.FDs = append(m.FDs, kept...)
	a.send(m)
}

// kept is a keeper process.
type kept struct {
	*testing.T
	dir   string
	cmd   *exec.Cmd
	lines chan string
	said  []string
	err   bytes.Buffer
	ended chan struct{}
}

// keep starts a keeper whose agents do what.
func keep(t *testing.T, dir, what string) *kept {
	t.Helper()
	return keepAs(t, os.Args[0], dir, what)
}

// keepAs starts a keeper that is a copy of this program.
func keepAs(t *testing.T, program, dir, what string) *kept {
	t.Helper()
	k := &kept{T: t, dir: dir, lines: make(chan string, 10_000), ended: make(chan struct{})}
	k.cmd = exec.Command(program, "keeper", dir, what)
	k.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else an agent takes a second to end
	k.cmd.Stderr = &k.err
	out, err := k.cmd.StdoutPipe()
	if err == nil {
		err = k.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			k.lines <- s.Text()
		}
		close(k.lines)
		_ = k.cmd.Wait()
		close(k.ended)
	}()
	t.Cleanup(func() {
		_ = k.cmd.Process.Kill()
		<-k.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", what, &k.err)
		}
	})
	return k
}

// word waits for a line that begins with word and gives the rest of it.
func (k *kept) word(word string) string {
	k.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-k.lines:
			if !ok {
				k.Fatalf("the keeper ended without %q", word)
			}
			k.said = append(k.said, line)
			if rest, found := strings.CutPrefix(line, word); found {
				return strings.TrimSpace(rest)
			}
		case <-late:
			k.Fatalf("nobody says %q; said: %v", word, k.said)
		}
	}
}

func (k *kept) pid(word string) int {
	k.Helper()
	f := strings.Fields(k.word(word))
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		k.Fatal(err)
	}
	return n
}

// code waits for the end.
func (k *kept) code() int {
	k.Helper()
	select {
	case <-k.ended:
		return k.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		k.Fatal("the keeper does not end")
	}
	return -1
}

// child is one child of type echo, with an open connection.
type child struct {
	pid   int
	start uint64
	conn  net.Conn
}

// children waits until n children answer.
func (k *kept) children(n int) map[string]*child {
	k.Helper()
	all := make(map[string]*child)
	for range n {
		var key string
		var pid int
		if _, err := fmt.Sscan(k.word("spawned"), &key, &pid); err != nil {
			k.Fatal(err)
		}
		c := &child{pid: pid}
		stat, err := leftover.ReadStat(pid)
		if err != nil {
			k.Fatal(err)
		}
		c.start = stat.Start
		eventually(k, "a child listens", func() bool {
			c.conn, err = net.Dial("unix", filepath.Join(k.dir, key))
			return err == nil
		})
		k.Cleanup(func() { c.conn.Close() })
		all[key] = c
	}
	k.undisturbed(all)
	return all
}

// undisturbed: they are the same processes, and their connections are alive.
func (k *kept) undisturbed(all map[string]*child) {
	k.Helper()
	for key, c := range all {
		stat, err := leftover.ReadStat(c.pid)
		if err != nil || stat.Start != c.start || stat.State == 'Z' {
			k.Errorf("child %s: %+v, %v", key, stat, err)
			continue
		}
		_ = c.conn.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintln(c.conn, "are you there"); err != nil {
			k.Errorf("child %s: %v", key, err)
		}
		if line, err := bufio.NewReader(c.conn).ReadString('\n'); line != "are you there\n" {
			k.Errorf("child %s answers %q, %v", key, line, err)
		}
	}
}

// adopted: the agent that begins now is told of exactly these.
func (k *kept) adopted(all map[string]*child) {
	k.Helper()
	for range all {
		var key string
		var pid int
		if _, err := fmt.Sscan(k.word("life"), &key, &pid); err != nil || all[key] == nil || all[key].pid != pid {
			k.Errorf("adopts %s, pid %d: %v", key, pid, err)
		}
	}
	k.word("runs")
}

// eventually polls ok until it holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not true: %s", what)
		}
	}
}

func running(pid int) bool {
	stat, err := leftover.ReadStat(pid)
	return err == nil && stat.State != 'Z'
}

func kill(t testing.TB, pid int, sig unix.Signal) {
	t.Helper()
	if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		t.Fatal(err)
	}
}
