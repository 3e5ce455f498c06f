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
	// stateVersions are those of state that this binary reads and writes. Asked with
	// versionWord, it says so.
	stateVersions = "1,2"
	versionWord   = "__selfware_keeper_versions"
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
		fmt.Println("selfware-keeper", stateVersions)
		os.Exit(0)
	}
}

// Upgrade asks the keeper of a data dir to execute a binary in its place, and waits
// until the agent of that binary has proved itself, or the keeper has gone back. After
// an error, nothing has changed, or the error says what has.
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

// request is one upgrade, over the change of binaries. Only the main thread has it.
type request struct {
	conn    *net.UnixConn // nil if it was lost
	version int           // of the state that is handed on
	// What runs is the former binary, and then the new one is this.
	path  string
	ready bool // the agent was told to yield
	// What runs is the new binary.
	former int  // the descriptor of the one before; 0 = there is no way back
	runs   bool // its agent says so
	late   bool // its agent did not say so in time
	// What runs is the former binary again, because of this.
	failed string
}

func (r *request) answer(err error) {
	if r.conn == nil {
		return
	}
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
	version := newestOf(w[1])
	if version == 0 {
		return nil, fmt.Errorf("%s reads states of version %s, this keeper writes %s", w[2], w[1], stateVersions)
	}
	return &request{conn: conn, path: w[2], version: version}, unix.Access(w[2], unix.X_OK)
}

// newestOf gives the newest version of theirs that is also ours; 0 = none.
func newestOf(theirs string) (version int) {
	for ours := range strings.SplitSeq(stateVersions, ",") {
		if slices.Contains(strings.Split(theirs, ","), ours) {
			version, _ = strconv.Atoi(ours)
		}
	}
	return version
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
	Reply   int // 0 = nobody waits

	// Since version 2, which closes Former on exec.
	Former int    // the binary that hands this over, to go back to; 0 = none
	Failed string // why the binary that hands this over goes back
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
	err := k.try(r)
	k.log.Error("cannot execute the new binary; going on with this one", "binary", r.path, "err", err)
	k.upgrade = nil
	r.answer(fmt.Errorf("cannot execute %s: %w; the node goes on as it was", r.path, err))
	k.due.Reset(0)
}

// try goes on as a binary from which there is a way back, if it can take that.
func (k *Keeper) try(r *request) (err error) {
	next := state{Version: r.version}
	if r.version > 1 {
		// Not its path, where another may be by then; nor a copy, for which there may
		// be no room, or no right to execute it.
		if next.Former, err = unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		defer unix.Close(next.Former)
	} else {
		k.log.Warn("the new binary knows no way back, should its agent not start")
	}
	return k.become(r.path, &next)
}

// become goes on as another binary, with what s says already and all there is.
func (k *Keeper) become(path string, s *state) error {
	if conn := k.upgrade.conn; conn != nil {
		file, err := conn.File() // a copy that outlives the exec
		if err != nil {
			return err
		}
		defer file.Close()
		s.Reply = int(file.Fd())
	}
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
	k.fill(s)
	k.lives.mu.Unlock()
	if err := json.NewEncoder(out).Encode(s); err != nil {
		return err
	}
	fds := s.fds(memory)
	keepOpen(fds, true)
	defer keepOpen(fds, false)
	return syscall.Exec(path, os.Args, append(os.Environ(), stateKey+"="+strconv.Itoa(memory)))
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
	fds := []int{also, s.Lock}
	for _, fd := range []int{s.Reply, s.Former} {
		if fd != 0 {
			fds = append(fds, fd)
		}
	}
	for _, fd := range s.Stored {
		fds = append(fds, fd)
	}
	for _, c := range s.Lives {
		fds = append(fds, c.Kept...)
	}
	return fds
}

// fill completes s with all there is. Under lives.mu.
func (k *Keeper) fill(s *state) {
	l := k.lives
	s.Words, s.Head, s.Until, s.Stored = k.cfg.Words, k.record.Head(), l.until, l.stored
	s.Groups, s.Lock = k.groups.made, k.record.Lock()
	for _, c := range l.byKey {
		s.Lives = append(s.Lives, lifeState{
			Key: c.key, PID: c.pid, Start: c.start, Born: c.born, Exclusive: c.exclusive, Note: c.note, Kept: c.kept,
			Group: c.group, Ended: c.ended, Fenced: c.fenced, Status: uint32(c.status),
		})
	}
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
	if err := json.NewDecoder(in).Decode(s); err != nil || newestOf(strconv.Itoa(s.Version)) == 0 {
		return nil, true, fmt.Errorf("cannot go on as keeper: state of version %d: %w", s.Version, err)
	}
	keepOpen(s.fds(fd), false)
	inherited = s
	return s.Words, true, nil
}

// inherit takes over what the binary before has left.
func (k *Keeper) inherit(s *state) {
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
	k.upgrade = s.request()
	var err error
	if k.record, err = leftover.Reopen(k.cfg.run(""), s.Lock, s.Head, live, k.log); err != nil {
		k.log.Error("cannot go on with the record of lives", "err", err)
	}
}
