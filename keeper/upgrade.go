package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

const (
	// stateKey names the descriptor of the state in the environment of the binary
	// that goes on.
	stateKey = "SELFWARE_KEEPER_STATE"
	// stateVersion is that of state. A binary says with versionWord which it reads.
	stateVersion = 1
	versionWord  = "__selfware_keeper_versions"
	// askTime bounds a question to another binary and to a keeper; yieldTime is what
	// an agent gets to end without its children; upgradeTime bounds a whole upgrade.
	askTime     = 5 * time.Second
	yieldTime   = 10 * time.Second
	upgradeTime = 30 * time.Second
)

// Socket is where a keeper takes requests.
func Socket(dir string) string { return filepath.Join(dir, "keeper.sock") }

// MaybeAnswer must be called first in main. A process that another keeper started
// to ask which states it reads answers and ends.
func MaybeAnswer() {
	if len(os.Args) == 2 && os.Args[1] == versionWord {
		fmt.Println("selfware-keeper", stateVersion)
		os.Exit(0)
	}
}

// Upgrade asks the keeper of a data dir to execute a binary in its place, and waits
// until the agent of that binary runs. After an error, nothing has changed, or the
// error says what has.
func Upgrade(dir, binary string) error {
	path, err := filepath.Abs(binary)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("cannot upgrade: %w", err)
	}
	versions, err := versionsOf(path)
	if err != nil {
		return fmt.Errorf("cannot upgrade: %s is no selfware-node that can take over: %w", path, err)
	}
	conn, err := net.Dial("unix", Socket(dir))
	if err != nil {
		return fmt.Errorf("cannot upgrade: the node of %s does not run: %w", dir, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(upgradeTime + askTime))
	fmt.Fprintf(conn, "upgrade %s %s\n", versions, path)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	switch {
	case err != nil:
		return fmt.Errorf("cannot tell whether it is upgraded: the keeper gives no answer: %w", err)
	case answer != "done\n":
		return errors.New("cannot upgrade: " + strings.TrimSpace(answer))
	}
	return nil
}

// versionsOf asks a binary which states it reads: numbers with commas.
func versionsOf(path string) (string, error) {
	cmd := exec.Command(path, versionWord)
	late := time.AfterFunc(askTime, func() { cmd.Process.Kill() })
	out, err := cmd.Output()
	late.Stop()
	if err != nil {
		return "", err
	}
	versions, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "selfware-keeper ")
	if !ok || strings.ContainsAny(versions, " \n") {
		return "", errors.New("it does not say which states it reads")
	}
	return versions, nil
}

// request is one upgrade. Only the main thread has it.
type request struct {
	conn  *net.UnixConn
	path  string
	ready bool // the agent was told to yield
}

func (r *request) answer(err error) {
	text := "done\n"
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", " ") + "\n"
	}
	r.conn.SetWriteDeadline(time.Now().Add(time.Second))
	io.WriteString(r.conn, text)
	r.conn.Close()
}

// openDoor listens for requests. Without a door there are no upgrades; all else
// goes on.
func (k *Keeper) openDoor() {
	path := Socket(k.cfg.Dir)
	os.Remove(path) // the lock says that nobody serves it
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		k.log.Warn("cannot take requests", "err", err)
		return
	}
	k.threads.Go(func() {
		for {
			conn, err := lis.AcceptUnix()
			if err != nil {
				return
			}
			r, err := readRequest(conn)
			if err != nil {
				(&request{conn: conn}).answer(err)
				continue
			}
			select {
			case k.requests <- r:
			case <-time.After(askTime):
				r.answer(errors.New("another one is under way"))
			}
		}
	})
}

func readRequest(conn *net.UnixConn) (*request, error) {
	conn.SetReadDeadline(time.Now().Add(askTime))
	line, err := bufio.NewReader(io.LimitReader(conn, 8<<10)).ReadString('\n')
	if err != nil {
		return nil, err
	}
	w := strings.SplitN(strings.TrimSpace(line), " ", 3)
	if len(w) != 3 || w[0] != "upgrade" || !filepath.IsAbs(w[2]) {
		return nil, fmt.Errorf("the keeper does not understand %q", line)
	}
	if !slices.Contains(strings.Split(w[1], ","), strconv.Itoa(stateVersion)) {
		return nil, fmt.Errorf("%s reads states of version %s, this keeper's is %d", w[2], w[1], stateVersion)
	}
	return &request{conn: conn, path: w[2]}, unix.Access(w[2], unix.X_OK)
}

// begin begins an upgrade: the agent is to end, and nothing else.
func (k *Keeper) begin(r *request) {
	if k.upgrade != nil || k.ending {
		r.answer(errors.New("another one is under way, or the node ends"))
		return
	}
	k.upgrade = r
	r.ready = true
	k.log.Info("upgrading", "binary", r.path)
	k.lives.lock()
	alive := k.lives.agent != 0
	k.lives.tell(&wire.Message{Op: wire.Yield})
	k.lives.mu.Unlock()
	if !alive {
		k.execute()
		return
	}
	k.due.Reset(yieldTime)
}

// upgraded answers for an upgrade once it is seen how the new agent does.
func (k *Keeper) upgraded(err error) {
	if r := k.upgrade; r != nil && !r.ready {
		k.upgrade = nil
		r.answer(err)
	}
}

// state is what a binary hands to the next. Fields may be added; whatever an older
// binary cannot do without raises stateVersion.
type state struct {
	Version int
	Words   []string
	Head    leftover.Head
	Until   time.Duration
	Lives   []lifeState
	Stored  map[string]int
	Groups  int
	Lock    int
	Reply   int
}

type lifeState struct {
	Key           string
	PID           int
	Start         uint64
	Born          time.Duration
	Exclusive     bool
	Note          []byte
	Kept          []int
	Group         string
	Ended, Fenced bool
	Status        uint32
}

// execute goes on as another binary: the same process, with the same children. It
// returns only if that cannot be.
func (k *Keeper) execute() {
	r := k.upgrade
	err := k.become(r)
	k.log.Error("cannot execute the new binary; going on with this one", "binary", r.path, "err", err)
	k.upgrade = nil
	r.answer(fmt.Errorf("cannot execute %s: %w; the node goes on as it was", r.path, err))
	k.due.Reset(0)
}

func (k *Keeper) become(r *request) error {
	file, err := r.conn.File() // a copy that outlives the exec
	if err != nil {
		return err
	}
	defer file.Close()
	memory, err := unix.MemfdCreate("selfware-keeper", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(memory), "state")
	defer out.Close()
	// Held until the other binary runs: nobody is reaped whose status is not in the
	// state. lives.mu is not: if the binary's file hangs, deadlines must not.
	k.burying.Lock()
	defer k.burying.Unlock()
	k.lives.lock()
	k.lives.link = nil // what a dead agent still has to say would not be in the state
	s := k.state(int(file.Fd()))
	k.lives.mu.Unlock()
	if err := json.NewEncoder(out).Encode(s); err != nil {
		return err
	}
	fds := s.fds(memory)
	keepOpen(fds, true)
	defer keepOpen(fds, false)
	return syscall.Exec(r.path, os.Args, append(os.Environ(), stateKey+"="+strconv.Itoa(memory)))
}

// keepOpen says whether descriptors survive an exec. The main thread alone forks, so
// no child can get them meanwhile.
func keepOpen(fds []int, on bool) {
	for _, fd := range fds {
		flag := unix.FD_CLOEXEC
		if on {
			flag = 0
		}
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}

// fds are the descriptors that a state names, and one more.
func (s *state) fds(also int) []int {
	fds := []int{also, s.Lock, s.Reply}
	for _, fd := range s.Stored {
		fds = append(fds, fd)
	}
	for _, c := range s.Lives {
		fds = append(fds, c.Kept...)
	}
	return fds
}

// state is all there is. Under lives.mu.
func (k *Keeper) state(reply int) state {
	l := k.lives
	s := state{
		Version: stateVersion, Words: k.cfg.Words, Head: k.record.Head(), Until: l.until, Stored: l.stored,
		Groups: k.groups.made, Lock: k.record.Lock(), Reply: reply,
	}
	for _, c := range l.byKey {
		s.Lives = append(s.Lives, lifeState{
			Key: c.key, PID: c.pid, Start: c.start, Born: c.born, Exclusive: c.exclusive, Note: c.note, Kept: c.kept,
			Group: c.group, Ended: c.ended, Fenced: c.fenced, Status: uint32(c.status),
		})
	}
	return s
}

// inherited is what the binary before has left, read once.
var inherited *state

// Inherited tells whether this process is a keeper that went on as this binary, and
// with which Config.Words. Run takes the rest.
func Inherited() (words []string, ok bool, err error) {
	text := os.Getenv(stateKey)
	if text == "" {
		return nil, false, nil
	}
	os.Unsetenv(stateKey)
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, true, fmt.Errorf("cannot go on as keeper: %w", err)
	}
	in := os.NewFile(uintptr(fd), "state")
	defer in.Close()
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, true, fmt.Errorf("cannot go on as keeper: %w", err)
	}
	s := new(state)
	if err := json.NewDecoder(in).Decode(s); err != nil || s.Version != stateVersion {
		return nil, true, fmt.Errorf("cannot go on as keeper: state of version %d: %w", s.Version, err)
	}
	keepOpen(s.fds(fd), false)
	inherited = s
	return s.Words, true, nil
}

// inherit takes over what the binary before has left.
func (k *Keeper) inherit(s *state) error {
	k.swept = true
	live := make(map[int]uint64)
	k.groups = &cgroups{made: s.Groups}
	if s.Head.Cgroup != "" {
		k.groups.base = s.Head.Cgroup
	}
	k.lives.lock()
	defer k.lives.mu.Unlock()
	k.lives.ever, k.lives.stored = true, s.Stored
	if k.lives.stored == nil {
		k.lives.stored = make(map[string]int)
	}
	busy := make(map[string]bool)
	for _, c := range s.Lives {
		now := &life{
			key: c.Key, pid: c.PID, start: c.Start, born: c.Born, exclusive: c.Exclusive, note: c.Note, kept: c.Kept,
			group: c.Group, ended: c.Ended, fenced: c.Fenced, status: unix.WaitStatus(c.Status),
		}
		k.lives.add(now)
		if now.ended {
			delete(k.lives.byPID, now.pid)
			continue
		}
		live[now.pid], busy[now.group] = now.start, true
	}
	k.groups.recall(busy)
	if s.Until != 0 {
		k.lives.hold(s.Until)
	}
	file := os.NewFile(uintptr(s.Reply), "request")
	defer file.Close()
	if conn, err := net.FileConn(file); err == nil {
		k.upgrade = &request{conn: conn.(*net.UnixConn)}
	}
	var err error
	k.record, err = leftover.Reopen(k.cfg.run(""), s.Lock, s.Head, live, k.log)
	return err
}
