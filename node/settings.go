package node

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/gossip"
)

// Format is the version of the data dir that this build reads and writes.
const Format = 1

// Ports of a node, all on its bind address.
const (
	GossipPort  = 7400
	ClusterPort = 7401
	APIPort     = 7402
)

// Options are what Init and Join ask of a new node. Zero values are defaults.
type Options struct {
	// Name is what people call the node; empty is the host's name.
	Name string
	// Bind is the IP to listen on, empty 127.0.0.1. Advertise is the IP or DNS
	// name that others use; empty is Bind, or, if that is 0.0.0.0 or ::, the
	// address found at each start.
	Bind, Advertise string
	Profile         string
	Labels          map[string]string
	// CPU in thousandths of a core, Memory in bytes; 0 is what the machine has.
	CPU, Memory int64
	// Port is that of gossip, 0 is 7400; the cluster's and the API's are the
	// next two.
	Port int
}

// Settings are what node.json holds.
type Settings struct {
	Format    int               `json:"format"`
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	ClusterID string            `json:"cluster"`
	Bootstrap bool              `json:"bootstrap"` // this node began the cluster
	Bind      string            `json:"bind"`
	Advertise string            `json:"advertise,omitempty"`
	Port      int               `json:"port"`
	Profile   gossip.Profile    `json:"profile"`
	Labels    map[string]string `json:"labels,omitempty"`
	CPU       int64             `json:"cpu,omitempty"`
	Memory    int64             `json:"memory,omitempty"`
	// Seeds are gossip addresses of other nodes, asked anew at each try.
	Seeds []string `json:"seeds,omitempty"`
}

// Socket is the path of the API's unix socket in a data dir.
func Socket(dir string) string { return filepath.Join(dir, "api.sock") }

func (s Settings) addr(host string, offset int) string {
	return net.JoinHostPort(host, strconv.Itoa(s.Port+offset))
}

// Init prepares a data dir for the first node of a new cluster.
func Init(dir string, o Options) (Settings, error) {
	if old, ok, err := prepared(dir); err != nil || ok {
		if err == nil && !old.Bootstrap {
			err = fmt.Errorf("cannot init %s: it belongs to node %s, which joined cluster %s; use `run`, or another --data", dir, old.Name, old.ClusterID)
		}
		return old, errors.Join(err, conflicts(old, o, err))
	}
	s, err := o.settings()
	if err != nil {
		return s, err
	}
	s.Bootstrap, s.ClusterID = true, "c-"+randomHex(6)
	return s, prepare(dir, s, mux.Token{ClusterID: s.ClusterID, Key: mux.NewKey()})
}

// Join prepares a data dir for a node that joins a cluster through the node at
// addr: host or host:port, the port being that of the cluster (7401).
func Join(dir, addr, token string, o Options) (Settings, error) {
	t, err := mux.ParseToken(token)
	if err != nil {
		return Settings{}, fmt.Errorf("cannot join: %w", err)
	}
	if old, ok, err := prepared(dir); err != nil || ok {
		if err == nil && old.ClusterID != t.ClusterID {
			err = fmt.Errorf("cannot join cluster %s: %s belongs to node %s of cluster %s; use another --data", t.ClusterID, dir, old.Name, old.ClusterID)
		}
		return old, errors.Join(err, conflicts(old, o, err))
	}
	s, err := o.settings()
	if err != nil {
		return s, err
	}
	seed, err := seedOf(addr)
	if err != nil {
		return s, err
	}
	if err := reachable(s, seed); err != nil {
		return s, err
	}
	s.ClusterID, s.Seeds = t.ClusterID, []string{seed}
	return s, prepare(dir, s, t)
}

// seedOf gives the gossip address of the node at addr.
func seedOf(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), strconv.Itoa(ClusterPort)
	}
	p, err := strconv.Atoi(port)
	if err != nil || p < 2 || p > 65535 || host == "" {
		return "", fmt.Errorf("cannot join %q: give the host, or host:port with the other node's cluster port (7401)", addr)
	}
	return net.JoinHostPort(host, strconv.Itoa(p-1)), nil
}

// reachable refuses a node that nobody else could reach.
func reachable(s Settings, seed string) error {
	host, _, _ := net.SplitHostPort(seed)
	ip, own := net.ParseIP(host), net.ParseIP(s.Bind)
	if own != nil && own.IsLoopback() && s.Advertise == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("cannot join %s while bound to %s: other machines cannot reach it; give --bind with an address of this machine", host, s.Bind)
	}
	return nil
}

func (o Options) settings() (Settings, error) {
	s := Settings{
		Format: Format, Name: o.Name, Bind: o.Bind, Advertise: o.Advertise, Port: o.Port,
		Labels: o.Labels, CPU: o.CPU, Memory: o.Memory,
	}
	if s.Name == "" {
		s.Name, _ = os.Hostname()
	}
	if s.Bind == "" {
		s.Bind = "127.0.0.1"
	}
	if s.Port == 0 {
		s.Port = GossipPort
	}
	profile, err := gossip.ParseProfile(o.Profile)
	s.Profile = profile
	s.ID = s.Name + "-" + randomHex(4)
	return s, errors.Join(err, s.check())
}

func (s Settings) check() error {
	switch {
	case !wordy(s.Name) || len(s.Name) > 48:
		return fmt.Errorf("cannot use the name %q: 1 to 48 letters, digits, '-', '_' and '.'; give --name", s.Name)
	case net.ParseIP(s.Bind) == nil:
		return fmt.Errorf("cannot bind to %q: give an IP address of this machine", s.Bind)
	case s.Port < 1 || s.Port > 65533:
		return fmt.Errorf("cannot use port %d: 1 to 65533", s.Port)
	}
	for k := range s.Labels {
		if !wordy(k) {
			return fmt.Errorf("cannot use the label %q: letters, digits, '-', '_' and '.'", k)
		}
	}
	return nil
}

func wordy(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// conflicts refuses options that differ from what a prepared dir has: they would
// be ignored otherwise.
func conflicts(old Settings, o Options, err error) error {
	if err != nil {
		return nil
	}
	differ := func(what, asked, has string) error {
		if asked == "" || asked == has {
			return nil
		}
		return fmt.Errorf("cannot change %s of node %s from %q to %q: edit node.json in its data dir while it is stopped", what, old.Name, has, asked)
	}
	errs := []error{
		differ("--name", o.Name, old.Name), differ("--bind", o.Bind, old.Bind),
		differ("--advertise", o.Advertise, old.Advertise), differ("--profile", o.Profile, string(old.Profile)),
	}
	if o.Port != 0 && o.Port != old.Port {
		errs = append(errs, differ("--port", strconv.Itoa(o.Port), strconv.Itoa(old.Port)))
	}
	if o.Labels != nil && !maps.Equal(o.Labels, old.Labels) {
		errs = append(errs, differ("--label", fmt.Sprint(o.Labels), fmt.Sprint(old.Labels)))
	}
	return errors.Join(errs...)
}

// prepared loads the settings of a dir, if it has any.
func prepared(dir string) (Settings, bool, error) {
	s, err := Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, empty(dir)
	}
	return s, err == nil, err
}

// empty refuses a dir with things in it that are not ours.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != "token" && !strings.HasSuffix(e.Name(), ".new") {
			return fmt.Errorf("cannot use %s as a data dir: it holds %q but no node.json; give an empty one", dir, e.Name())
		}
	}
	return nil
}

// prepare writes the dir; node.json last, so that a dir is prepared wholly or
// not at all.
func prepare(dir string, s Settings, t mux.Token) error {
	if err := os.MkdirAll(filepath.Join(dir, "raft"), 0o700); err != nil {
		return fmt.Errorf("cannot make the data dir: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "token"), []byte(t.Encode()+"\n"), 0o600); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "raft", "node-id"), []byte(s.ID+"\n"), 0o600); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "node.json"), append(data, '\n'), 0o644)
}

// Load reads the settings of a prepared dir.
func Load(dir string) (Settings, error) {
	path := filepath.Join(dir, "node.json")
	data, err := os.ReadFile(path)
	if err != nil {
		if _, rerr := os.Stat(filepath.Join(dir, "raft", "raft.db")); rerr == nil {
			return Settings{}, fmt.Errorf("cannot use %s: its raft log is there and its settings are gone (%w); "+
				"put node.json back, or move the dir away and join as a new node", dir, err)
		}
		return Settings{}, fmt.Errorf("cannot use %s as a data dir: %w", dir, err)
	}
	var probe struct{ Format int }
	if err := json.Unmarshal(data, &probe); err != nil {
		return Settings{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if probe.Format != Format {
		return Settings{}, fmt.Errorf("cannot use %s: it has format %d, this build knows %d; use the selfware-node that wrote it", dir, probe.Format, Format)
	}
	var s Settings
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if err := poisoned(dir); err != nil {
		return s, err
	}
	return s, s.owned(dir)
}

// owned refuses a dir whose raft log is another node's, or gone.
func (s Settings) owned(dir string) error {
	id, err := os.ReadFile(filepath.Join(dir, "raft", "node-id"))
	if err != nil {
		return fmt.Errorf("cannot use %s: its raft log is gone (%v); a wiped disk is a new node: join again with an empty data dir", dir, err)
	}
	if got := strings.TrimSpace(string(id)); got != s.ID {
		return fmt.Errorf("cannot use %s: its raft log belongs to node %s, its settings to %s", dir, got, s.ID)
	}
	seq, err := bootSeq(dir)
	if err != nil || seq == 0 {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "raft", "raft.db")); err != nil {
		return fmt.Errorf("cannot use %s: it ran %d times and its raft log is gone (%v); a wiped disk is a new node: join again with an empty data dir", dir, seq, err)
	}
	return nil
}

// Token reads the join token of a data dir.
func Token(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// bootSeq is how often the node has started.
func bootSeq(dir string) (uint64, error) {
	b, err := lastBoot(dir)
	return b.seq, err
}

// boot is what the file of that name holds: the number of the last start, and the
// cluster address it had.
type boot struct {
	seq  uint64
	addr string
}

func (b boot) write(dir string) error {
	return writeFile(filepath.Join(dir, "boot"), fmt.Appendf(nil, "%d %s\n", b.seq, b.addr), 0o600)
}

func lastBoot(dir string) (b boot, err error) {
	path := filepath.Join(dir, "boot")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("cannot read the boot counter: %w", err)
	}
	seq, addr, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	b.addr = addr
	if b.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return b, fmt.Errorf("cannot read the boot counter %s: %w", path, err)
	}
	return b, nil
}

// writeFile replaces a file wholly or not at all, and on disk.
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
