package api_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

var errEnough = errors.New("enough")

func linesOf(t *testing.T, c *client.Client, path string, opt client.LogOptions) ([]string, error) {
	t.Helper()
	var lines []string
	err := c.Logs(t.Context(), path, opt, func(l api.LogLine) error {
		lines = append(lines, l.Stream+" "+l.Text)
		return nil
	})
	return lines, err
}

func TestLogsComeFromTheNodeThatHasThem(t *testing.T) {
	w := shopWorld(t, 3) // the store runs on n2
	w.nodes[1].logs.write("shop/store", "stderr", "a \"quoted\" line\twith \x01 bytes")
	w.nodes[1].logs.write("shop/store", "stdout", "ready")
	want := []string{"stderr a \"quoted\" line\twith \x01 bytes", "stdout ready"}
	for i, m := range w.nodes {
		lines, err := linesOf(t, m.client(t), "shop/store", client.LogOptions{Tail: 7, Stream: "both"})
		if err != nil || !slices.Equal(lines, want) {
			t.Errorf("asked at n%d: %q, %v", i+1, lines, err)
		}
	}
	if opt := w.nodes[1].logs.opts[0]; opt.Tail != 7 || opt.Stream != "both" || opt.Follow {
		t.Errorf("options %+v", opt)
	}
	must(linesOf(t, w.nodes[0].client(t), "shop/store", client.LogOptions{}))(t)
	must(linesOf(t, w.nodes[0].client(t), "shop/store", client.LogOptions{Tail: -1}))(t)
	opts := w.nodes[1].logs.opts
	if opts[3].Tail != 100 || opts[4].Tail != -1 {
		t.Errorf("tails %d and %d, want 100 and -1", opts[3].Tail, opts[4].Tail)
	}
}

func TestLogsOfAChildThatRanElsewhere(t *testing.T) {
	w := shopWorld(t, 3)
	w.nodes[1].logs.write("shop/store", "stdout", "on n2")
	w.nodes[2].logs.write("shop/store", "stdout", "on n3")
	c := w.nodes[0].client(t)
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{{
		Path: "shop/store", Epoch: w.epoch("shop/store"), Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1,
	}}})
	if lines, err := linesOf(t, c, "shop/store", client.LogOptions{}); err != nil || !slices.Equal(lines, []string{"stdout on n2"}) {
		t.Errorf("where it last ran: %q, %v", lines, err)
	}
	if lines, err := linesOf(t, c, "shop/store", client.LogOptions{Node: "n3"}); err != nil || !slices.Equal(lines, []string{"stdout on n3"}) {
		t.Errorf("of n3: %q, %v", lines, err)
	}
	w.must(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: "NODE3ID", Boot: "b3", Reason: "silent"}})
	_, err := linesOf(t, c, "shop/store", client.LogOptions{Node: "n3"})
	wantCode(t, err, api.CodeUnreachable, "n3", "lost")
}

func TestLogsThatAreNot(t *testing.T) {
	w := shopWorld(t, 2)
	for _, c := range []struct {
		path, node, code, say string
	}{
		{"shop/store", "", api.CodeNotFound, "no logs"}, // it wrote nothing that is left
		{"shop/web/api", "", api.CodeNotFound, "has not run yet"},
		{"shop/web", "", api.CodeBadRequest, "shop/web/api"},
		{"shop", "", api.CodeBadRequest, "shop/store, shop/web/api"},
		{"shop/none", "", api.CodeNotFound, "shop/none"},
		{"none/none", "", api.CodeNotFound, "none"},
		{"shop/store", "n9", api.CodeNotFound, "n9"},
	} {
		for _, follow := range []bool{false, true} {
			_, err := linesOf(t, w.nodes[0].client(t), c.path, client.LogOptions{Follow: follow, Node: c.node})
			wantCode(t, err, c.code, c.say)
		}
	}
}

func TestLogsThatBreakOff(t *testing.T) {
	w := shopWorld(t, 2)
	w.nodes[1].logs.write("shop/store", "stdout", "one")
	w.nodes[1].logs.fail = errors.New("cannot read log: bad disk")
	lines, err := linesOf(t, w.nodes[0].client(t), "shop/store", client.LogOptions{})
	wantCode(t, err, api.CodeInternal, "bad disk")
	if !slices.Equal(lines, []string{"stdout one"}) {
		t.Errorf("lines %q", lines)
	}
	w.nodes[1].logs.fail = runner.ErrTooManyFollowers
	_, err = linesOf(t, w.nodes[0].client(t), "shop/store", client.LogOptions{})
	wantCode(t, err, api.CodeBusy)
}

func TestManyLines(t *testing.T) {
	w := shopWorld(t, 2)
	var want []string
	for range 3000 {
		text := strings.Repeat("x", 50)
		w.nodes[1].logs.write("shop/store", "stdout", text)
		want = append(want, "stdout "+text)
	}
	lines, err := linesOf(t, w.nodes[0].client(t), "shop/store", client.LogOptions{})
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("%d lines of %d, %v", len(lines), len(want), err)
	}
}

func TestFollowLogs(t *testing.T) {
	w := shopWorld(t, 2)
	logs := &w.nodes[1].logs
	logs.write("shop/store", "stdout", "1")
	var lines []string
	steps := []func(){
		func() { logs.write("shop/store", "stderr", "2") },
		func() { logs.write("shop/store", "stdout", "3") },
	}
	err := w.nodes[0].client(t).Logs(t.Context(), "shop/store", client.LogOptions{Follow: true}, func(l api.LogLine) error {
		lines = append(lines, l.Text)
		if len(steps) == 0 {
			return errEnough
		}
		steps[0]()
		steps = steps[1:]
		return nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(lines, []string{"1", "2", "3"}) {
		t.Errorf("lines %q, %v", lines, err)
	}
}

func TestFollowLogsOverABreak(t *testing.T) {
	w := shopWorld(t, 2)
	logs := &w.nodes[1].logs
	logs.write("shop/store", "stdout", "before")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lines []string
	err := w.nodes[0].client(t).Logs(ctx, "shop/store", client.LogOptions{Follow: true}, func(l api.LogLine) error {
		lines = append(lines, l.Text)
		if len(lines) == 2 {
			cancel()
			return nil
		}
		w.nodes[0].web.CloseClientConnections()
		go func() { // once it follows again
			look := time.NewTicker(time.Millisecond)
			defer look.Stop()
			for done := false; !done; {
				<-look.C
				logs.mu.Lock()
				done = len(logs.opts) == 2
				logs.mu.Unlock()
			}
			logs.write("shop/store", "stdout", "after")
		}()
		return nil
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(lines, []string{"before", "after"}) {
		t.Errorf("lines %q, %v", lines, err)
	}
}

// A follower goes with the child: the stream of the old node ends, and the new
// one's log begins with its tail.
func TestFollowLogsOfAChildThatMoves(t *testing.T) {
	w := shopWorld(t, 3)
	w.nodes[1].logs.write("shop/store", "stdout", "on n2")
	w.nodes[2].logs.write("shop/store", "stdout", "on n3")
	var lines []string
	err := w.nodes[0].client(t).Logs(t.Context(), "shop/store", client.LogOptions{Follow: true}, func(l api.LogLine) error {
		lines = append(lines, l.Text)
		if len(lines) == 2 {
			return errEnough
		}
		w.must(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: "NODE2ID", Boot: "b2", Reason: "silent"}})
		w.start("shop/store", w.nodes[2], 43)
		w.nodes[1].logs.write("shop/other", "stdout", "wakes the log of n2")
		return nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(lines, []string{"on n2", "on n3"}) {
		t.Errorf("lines %q, %v", lines, err)
	}
}

func TestStaleLogsNeedNoLeader(t *testing.T) {
	w := shopWorld(t, 2)
	w.nodes[1].logs.write("shop/store", "stdout", "here")
	w.lead(nil)
	for _, m := range w.nodes {
		lines, err := linesOf(t, m.client(t).Stale(), "shop/store", client.LogOptions{})
		if err != nil || !slices.Equal(lines, []string{"stdout here"}) {
			t.Errorf("%s: %q, %v", m.self.Name, lines, err)
		}
	}
}

func TestLogsAreNDJSON(t *testing.T) {
	w := shopWorld(t, 2)
	w.nodes[1].logs.write("shop/store", "stdout", "<a>")
	res := get(t, http.MethodGet, w.nodes[0].web.URL+"/v1/logs?path=shop/store", "")
	if body := read(t, res); strings.TrimSpace(body) != `{"stream":"stdout","text":"\u003ca\u003e"}` {
		t.Errorf("body %q", body)
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/x-ndjson" || res.Header.Get(api.HeaderNode) != "n2" {
		t.Errorf("header %v", res.Header)
	}
}
