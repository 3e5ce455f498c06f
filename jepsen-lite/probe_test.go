package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// said is a node that says one thing.
type said struct {
	lab.Node
	url string
}

func (n said) Name() string       { return "n1" }
func (n said) URL() string        { return n.url }
func (n said) HTTP() *http.Client { return http.DefaultClient }

// TestProbe: what a node says is told as it is: its word, a refusal by its code, and
// silence as no status at all.
func TestProbe(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"ok": func(w http.ResponseWriter) { _ = json.NewEncoder(w).Encode(api.Health{Status: "ok", Leader: "n2"}) },
		"no_leader": func(w http.ResponseWriter) {
			w.WriteHeader(503)
			_ = json.NewEncoder(w).Encode(api.Health{Status: "no_leader"})
		},
		"busy": func(w http.ResponseWriter) {
			w.WriteHeader(503)
			_ = json.NewEncoder(w).Encode(api.Problem{Status: 503, Code: api.CodeBusy})
		},
		"nonsense": func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) },
	}
	for word, answer := range answers {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/health" {
				w.WriteHeader(404)
				return
			}
			answer(w)
		}))
		p := probeOf(said{url: s.URL})
		if p.Ready() != (word == "ok") || word != "nonsense" && p.Says != word || p.Status == 0 || p.Node != "n1" || p.Answered < p.Time {
			t.Errorf("%s: %+v", word, p)
		}
		s.Close()
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if status, says, _ := healthOf(ctx, said{url: silent.URL}); status != 0 || says == "" {
		t.Errorf("silence: %d %q", status, says)
	}
}

// ours is a lab with one node, which is this process.
type ours struct{ lab.Lab }

func (ours) Nodes() []lab.Node { return []lab.Node{said{}} }

func (said) Agent() (lab.Proc, error) { return lab.Proc{PID: os.Getpid()}, nil }

// TestWatch: what agents use is known from the beginning, or an election that a busy
// machine caused would look like one of no cause.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	samples, err := history.Create[history.Sample](dir, history.FileResources)
	if err != nil {
		t.Fatal(err)
	}
	tt := &tester{lab: ours{}, samples: samples}
	at := history.Now()
	tt.watch(t.Context())()
	if err := samples.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := history.Load[history.Sample](dir, history.FileResources)
	if err != nil || len(all) != 1 || all[0].Time.Sub(at) > time.Second || all[0].Threads == 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
