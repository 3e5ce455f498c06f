package workload

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// narrow is a node that serves so many requests at once, each for a
// while, and refuses the others.
type narrow struct {
	lab.Node
	limit   int64
	now     atomic.Int64
	refused atomic.Uint64
}

func (l *narrow) Name() string       { return "n1" }
func (l *narrow) Left() bool         { return false }
func (l *narrow) URL() string        { return "http://n1" }
func (l *narrow) HTTP() *http.Client { return &http.Client{Transport: l} }

// one is a lab of one node.
type one struct {
	lab.Lab
	node lab.Node
}

func (l one) Nodes() []lab.Node { return []lab.Node{l.node} }

func (l *narrow) RoundTrip(*http.Request) (*http.Response, error) {
	n := l.now.Add(1)
	defer l.now.Add(-1)
	status, text := http.StatusOK, `{}`
	if n > l.limit {
		l.refused.Add(1)
		status, text = http.StatusServiceUnavailable, `{"status":503,"code":"busy","title":"busy"}`
	} else {
		time.Sleep(50 * time.Millisecond)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/problem+json"}}, Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

// TestCrowd: it grows until something is refused, counts just that, and sees to it
// that the set is read at the end.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &narrow{limit: 1000}
		ops, err := history.Create[history.Op](t.TempDir(), history.FileOps)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := Find("overload")
		c := NewClients(w, one{node: l}, 1, ops)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		refused := c.Crowd(ctx)
		if refused == 0 || refused != l.refused.Load() {
			t.Errorf("it counts %d of %d refusals", refused, l.refused.Load())
		}
		// The first burst is served whole; of those half as large again some are refused,
		// so that none needs to be larger.
		if rest := ops.Len()/2 - w.Crowd; rest <= 0 || rest%(w.Crowd*3/2) != 0 {
			t.Errorf("%d requests are not one burst of %d and others of %d", ops.Len()/2, w.Crowd, w.Crowd*3/2)
		}
		if c.used["set"] == 0 {
			t.Error("nobody reads the set at the end")
		}
		if err := ops.Close(); err != nil {
			t.Error(err)
		}
	})
}
