package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

const (
	probeEvery = 250 * time.Millisecond
	// probeTime is how long a node may take to say how it is: one that stands still
	// says nothing.
	probeTime = time.Second
)

// probe asks every node how it is, again and again, as a load balancer does. One that
// says nothing keeps nobody waiting.
func (t *tester) probe(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for pause(ctx, probeEvery) == nil {
		for _, n := range t.here() {
			all.Go(func() { t.probes.Put(probeOf(n)) })
		}
	}
}

// probeOf asks one node. A question that was asked ends by its own time, not by the
// run's: one that is broken off would look like a node that says nothing.
func probeOf(n lab.Node) history.Probe {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	p := history.Probe{Time: history.Now(), Node: n.Name()}
	p.Status, p.Says, p.Leader = healthOf(ctx, n)
	p.Answered = history.Now()
	return p
}

// healthOf is what a node's health says: the HTTP status, 0 if there is none, and
// the word for it.
func healthOf(ctx context.Context, n lab.Node) (status int, says, leader string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+"/v1/health", nil)
	if err != nil {
		return 0, err.Error(), ""
	}
	res, err := n.HTTP().Do(req)
	if err != nil {
		return 0, err.Error(), ""
	}
	defer res.Body.Close()
	// A refusal has a code in place of a status.
	var h struct {
		api.Health
		Status any    `json:"status"`
		Code   string `json:"code"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&h); err != nil {
		return res.StatusCode, err.Error(), ""
	}
	if h.Code != "" {
		return res.StatusCode, h.Code, ""
	}
	return res.StatusCode, fmt.Sprint(h.Status), h.Leader
}
