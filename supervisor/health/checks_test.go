package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// says asks once and compares; want is "" for healthy, else a part of the reason.
func says(t *testing.T, c HealthCheck, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := c.Check(ctx)
	if got.IsHealthy() != (want == "") || !strings.Contains(got.Reason, want) {
		t.Errorf("%s: got %s, want %q", c.Name(), got, want)
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := TCP{Address: l.Addr().String()}
	says(t, c, "")
	l.Close()
	says(t, c, "connection refused")
	says(t, TCP{Address: "nonsense"}, "missing port")
}

func TestHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/moved":
			http.Redirect(w, req, "http://127.0.0.1:1/", http.StatusFound)
		case "/ill":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/endless":
			for req.Context().Err() == nil {
				fmt.Fprintln(w, "more and more")
			}
		}
	}))
	defer server.Close()
	says(t, HTTP{URL: server.URL}, "")
	says(t, HTTP{URL: server.URL + "/moved"}, "")
	says(t, HTTP{URL: server.URL + "/endless"}, "")
	says(t, HTTP{URL: server.URL + "/ill"}, "answers 503 Service Unavailable")
	says(t, HTTP{URL: "http://127.0.0.1:1"}, "connection refused")
	says(t, HTTP{URL: "::"}, "missing protocol scheme")
}

func TestExec(t *testing.T) {
	sh := func(script string) Exec {
		return Exec{Argv: []string{"sh", "-c", script}, Env: []string{"A=1"}, Dir: "/"}
	}
	says(t, sh("test $A = 1 && test $PWD = /"), "")
	says(t, sh("echo no 'good'; exit 3"), "sh: exit status 3: no good")
	says(t, sh("kill $$"), "sh: signal: terminated")
	says(t, sh("yes | head -c 100000; exit 1"), "sh: exit status 1: y y y")
	says(t, Exec{Argv: []string{"no-such-check"}}, "not found")
	says(t, Exec{}, "no program")
}

// TestExecEnds: what a check started ends with it.
func TestExecEnds(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan HealthStatus, 1)
	go func() {
		answer <- Exec{Argv: []string{"sh", "-c", "sleep 1000 & echo $! > " + note + "; wait"}}.Check(ctx)
	}()
	var pid string
	eventually(t, "its helper runs", func() bool {
		b, _ := os.ReadFile(note)
		pid = strings.TrimSpace(string(b))
		return pid != ""
	})
	cancel()
	if s := <-answer; s.IsHealthy() {
		t.Errorf("got %s", s)
	}
	eventually(t, "its helper is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// eventually polls ok until it holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not true: %s", what)
		}
	}
}

func TestResources(t *testing.T) {
	says(t, Memory{Degraded: 1, Unhealthy: 1}, "")
	says(t, Disk{Path: t.TempDir(), Degraded: 1, Unhealthy: 1}, "")
	says(t, Disk{Path: "/proc"}, "")
	says(t, Disk{Path: "/no/such"}, "cannot look at the disk of /no/such: no such file")
	for used, want := range map[uint64]string{
		8 << 20:  "Healthy",
		9 << 20:  "Degraded: it: 90.0% of 10 MiB is in use",
		10 << 20: "Unhealthy (Critical): it: 100.0% of 10 MiB is in use",
	} {
		if got := rate("it", used, 10<<20, 0, 0).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	used, total, err := parseMeminfo(strings.NewReader("MemTotal:  10 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\nHugePages_Total: 0\n"))
	if used != 6<<10 || total != 10<<10 || err != nil {
		t.Errorf("got %d of %d, %v", used, total, err)
	}
	for _, bad := range []string{"", "MemTotal: 1 kB\n", "MemTotal: 1 kB\nMemAvailable: 2 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB"} {
		if _, _, err := parseMeminfo(strings.NewReader(bad)); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}
