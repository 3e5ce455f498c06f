package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
)

func places(events []api.Event) []string {
	var ids []string
	for _, ev := range events {
		ids = append(ids, fmt.Sprintf("%d.%d", ev.Index, ev.N))
	}
	return ids
}

// noise makes events: a node that begins to drain, and no more, again and again.
func (w *world) noise(n int) {
	for range n {
		w.loud = !w.loud
		w.must(fsm.Command{Type: fsm.TypeDrain, By: "noise", Node: &fsm.NodeRef{ID: w.nodes[0].self.ID, On: w.loud}})
	}
}

func TestEvents(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	all := must(c.Events(t.Context(), "0", 1000))(t)
	if len(all) < 6 || all[0].Sentence != "node n1 joined" || all[0].Node != "n1" || all[0].Kind != "node" {
		t.Fatalf("events %+v", all)
	}
	last := all[len(all)-1]
	if last.Kind != "decision" || last.Verdict != "up" || last.Path != "shop/store" || last.Node != "n2" ||
		last.Sentence != "shop/store runs on n2 (pid 42)" || last.Decision == nil || last.Decision.Sentence != last.Sentence {
		t.Errorf("the last event is %+v", last)
	}
	if latest := must(c.Events(t.Context(), "", 2))(t); !slices.Equal(places(latest), places(all[len(all)-2:])) {
		t.Errorf("latest %q of %q", places(latest), places(all))
	}
	for i := range all { // after each event come those that follow it
		rest := must(c.Events(t.Context(), places(all)[i], 1000))(t)
		if !slices.Equal(places(rest), places(all[i+1:])) {
			t.Errorf("since %s: %q, want %q", places(all)[i], places(rest), places(all[i+1:]))
		}
	}
	// An index alone stands for the whole of its entry.
	apply := all[2].Index
	for _, ev := range must(c.Events(t.Context(), fmt.Sprint(apply), 1000))(t) {
		if ev.Index <= apply {
			t.Errorf("since %d: %+v", apply, ev)
		}
	}
	if one := must(c.Events(t.Context(), "0", 1))(t); len(one) != 1 || one[0].Index != all[0].Index {
		t.Errorf("one event: %q", places(one))
	}
}

func TestForgottenEventsAreGone(t *testing.T) {
	w := newWorld(t, 2)
	w.noise(fsm.MaxRecords + 10)
	c := w.nodes[1].client(t)
	_, err := c.Events(t.Context(), "1", 10)
	begins := w.index - fsm.MaxRecords + 1
	wantCode(t, err, api.CodeGone, fmt.Sprintf("history begins at index %d", begins))
	if err.(*api.Problem).Status != http.StatusGone {
		t.Errorf("status %d", err.(*api.Problem).Status)
	}
	err = c.Follow(t.Context(), "0", func(api.Event) error { return nil })
	wantCode(t, err, api.CodeGone, "history begins")
	events := must(c.Events(t.Context(), fmt.Sprint(begins-1), 10))(t)
	if len(events) != 10 || events[0].Index != begins {
		t.Errorf("events %q, want from %d", places(events), begins)
	}
}

// stream reads one event stream by hand.
type stream struct {
	t    *testing.T
	res  *http.Response
	read *bufio.Reader
}

func openStream(t *testing.T, url string, change ...func(*http.Request)) *stream {
	t.Helper()
	res := get(t, "GET", url, "", change...)
	t.Cleanup(func() { res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("status %d, content type %s", res.StatusCode, ct)
	}
	return &stream{t, res, bufio.NewReader(res.Body)}
}

// next gives the next message, without its empty line.
func (s *stream) next() (lines []string) {
	s.t.Helper()
	for {
		text := must(s.read.ReadString('\n'))(s.t)
		if text == "\n" {
			return lines
		}
		lines = append(lines, strings.TrimSuffix(text, "\n"))
	}
}

func TestStreamByHand(t *testing.T) {
	w := newWorld(t, 2)
	for _, m := range w.nodes { // the leader, and a node that forwards
		s := openStream(t, m.web.URL+"/v1/events/stream?since=2")
		if first := s.next(); !slices.Equal(first, []string{"id: 2"}) {
			t.Errorf("first %q", first)
		}
		if got := s.next(); len(got) != 2 || got[0] != "id: 3.0" || !strings.HasPrefix(got[1], `data: {"index":3,`) {
			t.Errorf("got %q", got)
		}
	}
	s := openStream(t, w.nodes[1].web.URL+"/v1/events/stream?since=1", header("Last-Event-ID", "2.0"))
	s.next()
	if got := s.next(); got[0] != "id: 3.0" {
		t.Errorf("Last-Event-ID does not count before since: %q", got)
	}
	s = openStream(t, w.nodes[1].web.URL+"/v1/events/stream")
	if first := s.next(); first[0] != "id: 3" {
		t.Errorf("from now on begins at %q, want after 3", first)
	}
	w.noise(1)
	if got := s.next(); got[0] != "id: 4.0" {
		t.Errorf("got %q", got)
	}
}

func TestStreamEndsWithTheLeader(t *testing.T) {
	w := newWorld(t, 2)
	s := openStream(t, w.nodes[1].web.URL+"/v1/events/stream")
	s.next()
	w.lead(w.nodes[1])
	w.noise(1)
	if _, err := io.ReadAll(s.read); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
}

func TestFollowOverEverything(t *testing.T) {
	w := newWorld(t, 3)
	c := w.nodes[2].client(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []api.Event
	steps := []func(){
		func() { w.lead(w.nodes[1]); w.noise(1) },                      // the stream ends
		func() { w.lead(nil); w.noise(1); w.lead(w.nodes[0]) },         // nobody leads for a while
		func() { w.nodes[2].web.CloseClientConnections(); w.noise(3) }, // the connection breaks
		func() { w.lead(w.nodes[2]); w.noise(2); w.nodes[2].web.CloseClientConnections() },
	}
	err := c.Follow(ctx, "0", func(ev api.Event) error {
		got = append(got, ev)
		switch {
		case ev.Index < w.lastIndex():
		case len(steps) == 0:
			cancel()
		default:
			steps[0]()
			steps = steps[1:]
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	want := must(c.Events(t.Context(), "0", 1000))(t)
	if !slices.Equal(places(got), places(want)) {
		t.Errorf("got %q,\nwant %q", places(got), places(want))
	}
}

func TestFollowManyEventsInOrder(t *testing.T) {
	w := newWorld(t, 2)
	w.noise(2000)
	errEnough := errors.New("enough")
	at, n := uint64(0), 0
	err := w.nodes[1].client(t).Follow(t.Context(), "0", func(ev api.Event) error {
		if ev.Index <= at {
			t.Errorf("%d after %d", ev.Index, at)
		}
		at = ev.Index
		if n++; n == 2002 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || at != w.index {
		t.Errorf("ended with %v at %d of %d", err, at, w.index)
	}
}

func TestFollowOfANodeThatIsNotThere(t *testing.T) {
	w := newWorld(t, 1)
	c := w.nodes[0].client(t)
	w.nodes[0].web.Close()
	err := c.Follow(t.Context(), "", func(api.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "cannot reach the node at") {
		t.Errorf("error %v", err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
}

func TestStaleStreamIsOfTheNodeItself(t *testing.T) {
	w := newWorld(t, 2)
	w.lead(nil)
	errEnough := errors.New("enough")
	n := 0
	err := w.nodes[1].client(t).Stale().Follow(t.Context(), "0", func(api.Event) error {
		if n++; n == 1 {
			w.noise(1)
		}
		if n == 3 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

func TestStreamsAreCounted(t *testing.T) {
	w := newWorld(t, 1, func(c *api.Config) { c.MaxStreams = 2 })
	for range 2 {
		openStream(t, w.nodes[0].web.URL+"/v1/events/stream").next()
	}
	err := w.nodes[0].client(t).Follow(t.Context(), "", func(api.Event) error { return nil })
	wantCode(t, err, api.CodeBusy)
	must(w.nodes[0].client(t).Status(t.Context()))(t) // other requests are not concerned
}
