package runner

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/selfware/selfware/supervisor/health"
)

// patient answers as it is told, and counts.
type patient struct {
	*httptest.Server
	ill   atomic.Bool
	asked atomic.Int32
}

func newPatient(t *testing.T) *patient {
	p := &patient{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if p.ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// askedAgain waits for some more questions.
func (p *patient) askedAgain(t *testing.T) {
	t.Helper()
	before := p.asked.Load()
	eventually(t, "it is asked", func() bool { return p.asked.Load() > before+3 })
}

// TestLiveness: a child that is up and not well is stopped as Stop does, and its end
// says that nobody asked for it. Its start probe is another matter.
func TestLiveness(t *testing.T) {
	g := newRig(t, Config{})
	p := newPatient(t)
	g.start(Spec{
		Argv:     []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done"},
		Probe:    &Probe{HTTP: p.URL, Interval: probeOften, SuccessThreshold: 3},
		Liveness: &Liveness{HTTP: p.URL, Interval: probeOften, FailureThreshold: 3},
	})
	g.wait("c", Up)
	if n := p.asked.Load(); n != 3 {
		t.Errorf("up after %d passes, want 3", n)
	}
	p.askedAgain(t)
	p.ill.Store(true)
	e := g.wait("c", Exited)
	want := health.Unhealthy("GET "+p.URL+" answers 503 Service Unavailable", health.Critical)
	if e.Code != 0 || e.Requested || e.BeforeUp || e.Unwell != want || !strings.Contains(e.String(), "503") {
		t.Errorf("got %s", e)
	}
	g.start(Spec{Argv: []string{"sleep", "1000"}, Liveness: &Liveness{HTTP: p.URL, Interval: probeOften, FailureThreshold: 1, Severity: health.Fatal}})
	if e := g.wait("c", Exited); e.Signal != "SIGTERM" || e.Requested || e.Unwell.Severity != health.Fatal {
		t.Errorf("got %s", e)
	}
}

// TestLivenessExec: the check runs as the child would, and a child that heeds no signal
// is killed after its grace.
func TestLivenessExec(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "well"), "", 0o600)
	g.start(Spec{
		Argv: []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}, Dir: dir, Env: []string{"FLAG=well"},
		Grace:    20 * time.Millisecond,
		Liveness: &Liveness{Exec: []string{"sh", "-c", "test -e $FLAG"}, Interval: probeOften, FailureThreshold: 1},
	})
	g.wait("c", Up)
	g.output("c", "stdout", nil)
	if err := os.Remove(filepath.Join(dir, "well")); err != nil {
		t.Fatal(err)
	}
	if e := g.wait("c", Exited); e.Signal != "SIGKILL" || e.Requested || e.Unwell.Reason != "sh exited with 1" {
		t.Errorf("got %s", e)
	}
	g.start(Spec{Argv: []string{"sleep", "1000"}, Liveness: &Liveness{
		Exec: []string{"sleep", "1000"}, Interval: probeOften, Timeout: 10 * time.Millisecond, FailureThreshold: 2,
	}})
	if e := g.wait("c", Exited); e.Unwell.Reason != "exec sleep: no answer within 10ms" {
		t.Errorf("got %s", e)
	}
	eventually(t, "the check has ended too", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.byKey) == 0
	})
}

// TestLivenessGRPC: for a start and after it.
func TestLivenessGRPC(t *testing.T) {
	var says atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		if says.Add(1); !bytes.HasSuffix(body, []byte("shop.Cart")) {
			says.Store(100)
		}
		status := map[bool]byte{true: 1, false: 2}[says.Load() == 2 || says.Load() == 3]
		w.Write([]byte{0, 0, 0, 0, 2, 8, status})
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	cart := server.Listener.Addr().String() + "/shop.Cart"
	g := newRig(t, Config{})
	g.start(Spec{
		Argv: []string{"sleep", "1000"}, Probe: &Probe{GRPC: cart, Interval: probeOften},
		Liveness: &Liveness{GRPC: cart, Interval: probeOften, FailureThreshold: 2},
	})
	g.wait("c", Up)
	if e := g.wait("c", Exited); e.Unwell.Reason != "grpc "+cart+" says NOT_SERVING" || says.Load() != 5 {
		t.Errorf("after %d: %s", says.Load(), e)
	}
}

// words is a log that may be read while it is written.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *words) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), what)
}

// TestLivenessWarning: it is noted once, and once that it is over; nothing else follows.
func TestLivenessWarning(t *testing.T) {
	var log words
	g := newRig(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	p := newPatient(t)
	p.ill.Store(true)
	g.start(Spec{Argv: []string{"sleep", "1000"}, Liveness: &Liveness{HTTP: p.URL, Interval: probeOften, FailureThreshold: 1, Severity: health.Warning}})
	g.wait("c", Up)
	p.askedAgain(t)
	p.ill.Store(false)
	p.askedAgain(t)
	eventually(t, "it is noted", func() bool { return log.count("is has changed") == 1 })
	if log.count("is not well") != 1 || log.count("stopping") != 0 || len(g.Live()) != 1 {
		t.Errorf("noted:\n%s", log.text.String())
	}
	g.Stop("c", "test")
	if e := g.wait("c", Exited); !e.Requested || !e.Unwell.IsHealthy() {
		t.Errorf("got %s", e)
	}
}

// TestLivenessOfAdopted: the next runner goes on to ask, and knows why a child is being
// stopped.
func TestLivenessOfAdopted(t *testing.T) {
	h := newHeirs(t, 3)
	p, q := newPatient(t), newPatient(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "well"), "", 0o600)
	stubborn := []string{"sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"}
	g := h.next()
	g.start(Spec{Key: "http", Argv: []string{"sleep", "1000"}, Liveness: &Liveness{HTTP: p.URL, Interval: probeOften, FailureThreshold: 2}})
	g.start(Spec{Key: "exec", Argv: []string{"sleep", "1000"}, Dir: dir, Env: []string{"FLAG=well"},
		Liveness: &Liveness{Exec: []string{"sh", "-c", "test -e $FLAG"}, Interval: probeOften, FailureThreshold: 1}})
	g.start(Spec{Key: "stubborn", Argv: stubborn, Grace: 300 * time.Millisecond,
		Liveness: &Liveness{HTTP: q.URL, Interval: probeOften, FailureThreshold: 1, Severity: health.Fatal}})
	for _, key := range []string{"http", "exec", "stubborn"} {
		g.wait(key, Up)
	}
	q.ill.Store(true)
	eventually(t, "it is being stopped", func() bool {
		live := g.Live()
		return live[len(live)-1].Key == "stubborn" && live[len(live)-1].Stopping
	})
	h.crash(g)

	asked := p.asked.Load()
	g = h.next()
	if e := g.wait("stubborn", Exited); e.Signal != "SIGKILL" || e.Requested || e.Unwell.Severity != health.Fatal || !strings.Contains(e.Unwell.Reason, "503") {
		t.Errorf("got %s", e)
	}
	eventually(t, "it is asked again", func() bool { return p.asked.Load() > asked })
	p.ill.Store(true)
	if e := g.wait("http", Exited); e.Signal != "SIGTERM" || e.Requested || e.Unwell.Severity != health.Critical {
		t.Errorf("got %s", e)
	}
	if err := os.Remove(filepath.Join(dir, "well")); err != nil {
		t.Fatal(err)
	}
	if e := g.wait("exec", Exited); e.Requested || e.Unwell.Reason != "sh exited with 1" {
		t.Errorf("got %s", e)
	}
	h.crash(g)
	g = h.next() // none of this is settled, so it is told again
	if e := g.wait("stubborn", Exited); e.Requested || e.Unwell.Severity != health.Fatal {
		t.Errorf("got %s", e)
	}
}

func TestLivenessIsRefused(t *testing.T) {
	g := newRig(t, Config{})
	for want, l := range map[string]*Liveness{
		"exactly one":          {},
		"must not be negative": {TCP: "h:1", Timeout: -1},
		"severity":             {TCP: "h:1", Severity: "Mild"},
	} {
		g.start(Spec{Argv: []string{"true"}, Liveness: l})
		if e := g.wait("c", Failed); !strings.Contains(e.Err, want) {
			t.Errorf("got %s, want %s", e, want)
		}
	}
}

// TestWarningIsShown: who asks learns how a child was found, although nothing follows; what
// it says of itself can be anything, and is shown as text.
func TestWarningIsShown(t *testing.T) {
	g := newRig(t, Config{})
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer p.Close()
	s := speaker(t, "READY=1\nSTATUS=caf\xe9 \x1b[31m"+strings.Repeat("x", 2*maxStatus))
	s.Liveness = &Liveness{HTTP: p.URL, Interval: probeOften, FailureThreshold: 1, Severity: health.Warning}
	g.start(s)
	g.start(Spec{Key: "plain", Argv: []string{"sleep", "1000"}})
	g.wait("c", Up)
	g.wait("plain", Up)
	eventually(t, "it is found", func() bool { return g.Live()[0].Health == "Unhealthy" })
	live := g.Live()
	if one := live[0]; one.Severity != "Warning" || !strings.Contains(one.Reason, "503") {
		t.Errorf("shown: %+v", one)
	}
	if text := live[0].Status; !strings.HasPrefix(text, "caf?  [31mxx") || !utf8.ValidString(text) || len(text) > maxStatus+10 {
		t.Errorf("it says %q", text)
	}
	if plain := live[1]; plain.Health+plain.Severity+plain.Reason+plain.Status != "" {
		t.Errorf("of one that is not asked: %+v", plain)
	}
}
