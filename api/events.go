package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/selfware/selfware/fsm"
)

const (
	defaultEvents = 100
	maxEvents     = 1000
	eventBatch    = 256 // of a stream at once
)

func (s *Server) eventRoutes() {
	add(s, read, get("events", "/v1/events", "events", "Events after a position, or the latest ones"), s.listEvents)
	stream := get("follow-events", "/v1/events/stream", "events", "Events after a position, and those to come, as server-sent events")
	stream.Description = "Each event is a message whose id is INDEX.N and whose data is an Event in JSON. " +
		"A client that connects again with Last-Event-ID misses none and gets none twice. " +
		"A message of the type problem, with a Problem as its data, ends the stream."
	stream.Responses = raw("text/event-stream", "Events, until the client ends it or the leader changes")
	add(s, follow, stream, s.streamEvents)
}

// cursor is a place in the event stream: after the record N of an entry.
type cursor struct {
	index uint64
	n     int
}

// wholeEntry as N is after all records of an entry.
const wholeEntry = math.MaxInt32

func (c cursor) String() string {
	if c.n == wholeEntry {
		return strconv.FormatUint(c.index, 10)
	}
	return fmt.Sprintf("%d.%d", c.index, c.n)
}

// parseCursor reads "INDEX" (after that entry) and "INDEX.N".
func parseCursor(text string) (cursor, error) {
	index, n, parts := strings.Cut(text, ".")
	c := cursor{n: wholeEntry}
	var err error
	if c.index, err = strconv.ParseUint(index, 10, 64); err == nil && parts {
		var pos uint64
		pos, err = strconv.ParseUint(n, 10, 31)
		c.n = int(pos)
	}
	if err != nil {
		return c, badRequest("cannot begin after %q: write a log index such as 120, or the id of an event such as 120.3", text)
	}
	return c, nil
}

// records gives what follows a place; the error is a Problem if some of it is
// forgotten.
func (s *Server) records(at cursor, limit int) (events []Event, err error) {
	s.picture(func(p *picture) {
		records, complete := p.v.Records(at.index, at.n, limit)
		if !complete {
			err = gone(p.v, at)
			return
		}
		events = make([]Event, len(records))
		for i, r := range records {
			events[i] = p.event(r)
		}
	})
	return events, err
}

// gone says where the history begins: at the first entry that is whole.
func gone(v fsm.View, at cursor) *Problem {
	begins := v.Index()
	if first, _ := v.Records(0, -1, 1); len(first) > 0 {
		begins = first[0].Index
		if first[0].N > 0 {
			begins++
		}
	}
	return newProblem(http.StatusGone, CodeGone, fmt.Sprintf(
		"cannot go back to %s: the history begins at index %d; ask for what is since %d", at, begins, begins-1))
}

type eventsInput struct {
	Asked
	Since string `query:"since" maxLength:"40" doc:"Position to begin after: a log index, or an event's id INDEX.N; 0 is the beginning. Without it the latest events are listed."`
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Events at most"`
}

func (s *Server) listEvents(ctx context.Context, in *eventsInput) (*answer[[]Event], error) {
	if err := s.fresh(ctx, in.Asked); err != nil {
		return nil, err
	}
	index := s.index()
	if in.Since == "" {
		return &answer[[]Event]{index, s.latest(in.Limit)}, nil
	}
	at, err := parseCursor(in.Since)
	if err != nil {
		return nil, err
	}
	events, err := s.records(at, in.Limit)
	if err != nil {
		return nil, err
	}
	return &answer[[]Event]{index, events}, nil
}

// latest are the last events of the stream.
func (s *Server) latest(limit int) []Event {
	events := []Event{}
	s.picture(func(p *picture) {
		records, _ := p.v.Records(0, -1, fsm.MaxRecords)
		for _, r := range records[max(0, len(records)-limit):] {
			events = append(events, p.event(r))
		}
	})
	return events
}

type streamInput struct {
	Asked
	Since string `query:"since" maxLength:"40" doc:"Position to begin after: a log index, or an event's id INDEX.N; 0 is the beginning. Without it: from now on."`
	Last  string `header:"Last-Event-ID" maxLength:"40" doc:"The id of the last message that was received; counts before since"`
}

func (s *Server) streamEvents(ctx context.Context, in *streamInput) (*huma.StreamResponse, error) {
	if err := s.fresh(ctx, in.Asked); err != nil {
		return nil, err
	}
	at := cursor{s.index(), wholeEntry}
	for _, text := range []string{in.Since, in.Last} {
		if text == "" {
			continue
		}
		var err error
		if at, err = parseCursor(text); err != nil {
			return nil, err
		}
	}
	if _, err := s.records(at, 1); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "text/event-stream")
		f := &feed{s: s, w: w, rc: http.NewResponseController(w), at: at, stale: in.Stale}
		if err := f.run(r.Context()); err != nil {
			s.log.Debug("an event stream broke off", "why", err)
		}
	}}, nil
}

// feed writes events to one client.
type feed struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	at    cursor
	stale bool
}

// run writes what there is and then what comes, until ctx ends, the client does
// not keep up (writeTimeout), or this node does not lead any more.
func (f *feed) run(ctx context.Context) error {
	alive, leads := time.NewTicker(KeepAlive), time.NewTicker(time.Second)
	defer alive.Stop()
	defer leads.Stop()
	// The place alone, so that a client that gets no event can resume too.
	if err := f.put("id: " + f.at.String() + "\n\n"); err != nil {
		return err
	}
	for {
		changed := f.s.cfg.Cluster.Watch() // before the look, or a change could fall between
		more, err := f.batch()
		switch {
		case err != nil:
			return err
		case more:
			continue
		}
		select {
		case <-changed:
		case <-leads.C:
		case <-alive.C:
			if err := f.put(": alive\n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
		if !f.stale && !f.s.cfg.Cluster.Leads() {
			return nil // what it would send may be old; the client asks again
		}
	}
}

// batch writes the next events, and tells whether there may be more.
func (f *feed) batch() (more bool, err error) {
	events, err := f.s.records(f.at, eventBatch)
	if err != nil { // so slow that the history has passed it
		data, _ := json.Marshal(f.s.problem(err))
		return false, f.last("event: problem\ndata: " + string(data) + "\n\n")
	}
	if len(events) == 0 {
		return false, nil
	}
	var b strings.Builder
	for _, ev := range events {
		f.at = cursor{ev.Index, ev.N}
		data, err := json.Marshal(ev)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", f.at, data)
	}
	return len(events) == eventBatch, f.put(b.String())
}

// last writes what ends the stream.
func (f *feed) last(text string) error {
	if err := f.put(text); err != nil {
		return err
	}
	return errFeedOver
}

var errFeedOver = fmt.Errorf("the history has passed a slow client")

func (f *feed) put(text string) error {
	_ = f.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := f.w.Write([]byte(text)); err != nil {
		return err
	}
	return f.rc.Flush()
}
