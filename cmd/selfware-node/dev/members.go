package dev

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/node"
)

// member is one node of the cluster and its process.
type member struct {
	name, dir, log string
	bind           string
	port           int
	client         *client.Client

	process *os.Process
	pid     int // 0 while it does not run
	started time.Time
	due     time.Time // when to start it again; zero for not
	dirty   bool      // its last end may have left processes behind
}

// prepare makes the data dirs of all nodes, or takes them as they are.
func (d *dev) prepare() error {
	names := make([]string, d.cfg.Nodes)
	for i := range names {
		names[i] = "n" + strconv.Itoa(i+1)
	}
	if extra := "n" + strconv.Itoa(d.cfg.Nodes+1); exists(filepath.Join(d.dir, extra)) {
		return fmt.Errorf("cannot run %d nodes in %s: it has %s too; give --nodes, or another --data", d.cfg.Nodes, d.dir, extra)
	}
	first, err := d.firstAddress(filepath.Join(d.dir, names[0]))
	if err != nil {
		return err
	}
	var token, door string
	for i, name := range names {
		m := &member{name: name, dir: filepath.Join(d.dir, name), log: filepath.Join(d.dir, name+".log")}
		o := node.Options{Name: name, Bind: nth(first, i).String(), Profile: d.cfg.Profile}
		var s node.Settings
		if i == 0 {
			if s, err = node.Init(m.dir, o); err == nil {
				door = net.JoinHostPort(s.Bind, strconv.Itoa(s.Port+1))
				token, err = node.Token(m.dir)
			}
		} else {
			s, err = node.Join(m.dir, door, token, o)
		}
		if err != nil {
			return err
		}
		m.bind, m.port = s.Bind, s.Port
		m.client, err = client.New(client.Config{Socket: node.Socket(m.dir), Timeout: askTime, By: "dev"})
		if err != nil {
			return err
		}
		d.members = append(d.members, m)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// firstAddress is the address of the first node: of a prepared data dir, or of a
// block in which all are free.
func (d *dev) firstAddress(dir string) (net.IP, error) {
	s, err := node.Load(dir)
	if err == nil {
		d.resumed = true
		first := net.ParseIP(s.Bind)
		return first, taken(first, s.Port, d.cfg.Nodes)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	first, busy := freeBlock(d.cfg.Nodes, func(first net.IP) error { return taken(first, node.GossipPort, d.cfg.Nodes) })
	if first == nil {
		return nil, fmt.Errorf("cannot find free loopback addresses for %d nodes: %w", d.cfg.Nodes, busy)
	}
	if busy != nil {
		d.printf("%v: using %v and up instead\n", busy, first)
	}
	return first, nil
}

// freeBlock looks for addresses that are all free, from 127.0.0.11, 127.0.1.11
// and so on. busy is why the first block would not do.
func freeBlock(n int, check func(first net.IP) error) (first net.IP, busy error) {
	for block := range 250 {
		first := net.IPv4(127, 0, byte(block), 11)
		err := check(first)
		if err == nil {
			return first, busy
		}
		if busy == nil {
			busy = err
		}
	}
	return nil, busy
}

// nth is the address i after the first.
func nth(first net.IP, i int) net.IP {
	ip := first.To4()
	return net.IPv4(ip[0], ip[1], ip[2], ip[3]+byte(i))
}

// taken says which port of which node cannot be had, and who has it.
func taken(first net.IP, port, n int) error {
	for i := range n {
		for p := port; p < port+3; p++ {
			addr := net.JoinHostPort(nth(first, i).String(), strconv.Itoa(p))
			lis, err := net.Listen("tcp", addr)
			if errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("%s is in use%s", addr, holder(nth(first, i), p))
			}
			if err != nil {
				return fmt.Errorf("cannot listen on %s: %w", addr, err)
			}
			lis.Close()
		}
	}
	return nil
}

// holder names the process that listens at an address, as far as the kernel
// tells.
func holder(ip net.IP, port int) string {
	b := ip.To4()
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", b[3], b[2], b[1], b[0], port)
	any := fmt.Sprintf("00000000:%04X", port)
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) > 9 && (f[1] == want || f[1] == any) && f[3] == "0A" { // listening
			return ownerOf("socket:[" + f[9] + "]")
		}
	}
	return ""
}

func ownerOf(socket string) string {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && link == socket {
			pid := strings.Split(fd, "/")[2]
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf(" by %s, pid %s", strings.TrimSpace(string(comm)), pid)
		}
	}
	return ""
}

// start starts a member's process. Only the locked thread may call it: the
// kernel ends the process when that thread ends.
func (d *dev) start(m *member) error {
	out, err := os.OpenFile(m.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", m.name, err)
	}
	defer out.Close()
	cmd := exec.Command(d.cfg.Binary, "run", "--data", m.dir, "--log-level", d.cfg.LogLevel)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own: Ctrl-C in the terminal is for dev alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", m.name, err)
	}
	m.process, m.pid = cmd.Process, cmd.Process.Pid
	m.started, m.due, m.dirty = time.Now(), time.Time{}, true
	d.wg.Go(func() {
		err := cmd.Wait()
		d.exits <- exit{m, err}
	})
	return nil
}

// lastWords are the last lines of a member's log.
func (m *member) lastWords() string {
	f, err := os.Open(m.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-2000), io.SeekStart)
	}
	data, _ := io.ReadAll(io.LimitReader(f, 2000))
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
