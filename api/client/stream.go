package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
)

const (
	// maxSilence is how long a stream may say nothing: it sends a sign of life
	// every api.KeepAlive.
	maxSilence = 3 * api.KeepAlive
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
	maxLine    = 1 << 20
)

// endError ends a stream for good: the caller's function returned it, or the
// same would come again.
type endError struct{ error }

// Follow calls fn for each event after since ("INDEX" or "INDEX.N"; "0" is the
// beginning, "" is from now on), in order, without gap or repeat, over changes
// of the leader and breaks of the connection, until ctx ends (its error), fn
// fails (that error), or the node refuses (an *api.Problem; with code gone if
// the history does not reach back so far). A node that cannot be reached at the
// beginning is an error; later it is tried again and again.
func (c *Client) Follow(ctx context.Context, since string, fn func(api.Event) error) error {
	f := follower{c: c, at: since, fn: fn}
	return c.again(ctx, f.once)
}

// Logs calls fn for each line of a child's output. With Follow it goes on until
// ctx ends (its error) or fn fails (that error), and goes with the child to
// another node, where it begins with the tail again; after a break of the
// connection lines may be missing.
func (c *Client) Logs(ctx context.Context, path string, opt LogOptions, fn func(api.LogLine) error) error {
	l := logFollower{c: c, path: path, opt: opt, fn: fn}
	if !opt.Follow {
		_, err := l.once(ctx)
		return clean(err)
	}
	return c.again(ctx, l.once)
}

// again runs a stream until it is over for good. once tells whether the stream
// had begun: what never began is not tried again.
func (c *Client) again(ctx context.Context, once func(context.Context) (began bool, err error)) error {
	began, pause := false, firstPause
	for {
		now, err := once(ctx)
		if now {
			began, pause = true, firstPause
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (!began || final(err)):
			return clean(err)
		}
		wait := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, lastPause)
	}
}

// final: asking again would give the same.
func final(err error) bool {
	var p *api.Problem
	var end endError
	switch {
	case errors.As(err, &end):
		return true
	case errors.As(err, &p):
		return p.Status < 500 && p.Status != http.StatusMisdirectedRequest
	}
	return false
}

func clean(err error) error {
	var end endError
	if errors.As(err, &end) {
		return end.error
	}
	return err
}

// stream opens a stream that ends when it is silent for too long.
func (c *Client) stream(ctx context.Context, r request) (*http.Response, *bufio.Reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	silent := time.AfterFunc(maxSilence, cancel)
	end := func() {
		silent.Stop()
		cancel()
	}
	res, err := c.open(ctx, r)
	if err != nil {
		end()
		return nil, nil, err
	}
	res.Body = &closer{res.Body, end}
	return res, bufio.NewReaderSize(awake{res.Body, silent}, 32<<10), nil
}

// awake puts the end off with every byte.
type awake struct {
	io.Reader
	silent *time.Timer
}

func (a awake) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.silent.Reset(maxSilence)
	}
	return n, err
}

// line reads one line of at most maxLine bytes, without its end.
func line(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := r.ReadSlice('\n')
		b.Write(part)
		switch {
		case b.Len() > maxLine:
			return "", endError{fmt.Errorf("cannot read the stream: a line has more than %d bytes", maxLine)}
		case err == nil:
			return strings.TrimRight(b.String(), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// follower is one Follow.
type follower struct {
	c  *Client
	at string // resume after this
	fn func(api.Event) error
}

func (f *follower) once(ctx context.Context) (began bool, err error) {
	q := url.Values{}
	if f.at != "" {
		q.Set("since", f.at)
	}
	res, r, err := f.c.stream(ctx, request{method: http.MethodGet, path: "/v1/events/stream", query: q, read: true})
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	var m message
	for {
		text, err := line(r)
		if err != nil {
			return true, f.c.broken(err)
		}
		if text != "" {
			m.field(text)
			continue
		}
		if err := f.take(m); err != nil {
			return true, err
		}
		m = message{}
	}
}

// take hands on one message and remembers its place.
func (f *follower) take(m message) error {
	switch {
	case m.event == "problem":
		p := &api.Problem{}
		if err := json.Unmarshal([]byte(m.data), p); err != nil {
			return endError{fmt.Errorf("cannot decode an error of the stream: %w", err)}
		}
		return p
	case m.data != "":
		var ev api.Event
		if err := json.Unmarshal([]byte(m.data), &ev); err != nil {
			return endError{fmt.Errorf("cannot decode an event: %w", err)}
		}
		if err := f.fn(ev); err != nil {
			return endError{err}
		}
	}
	if m.id != "" {
		f.at = m.id
	}
	return nil
}

// message is one server-sent event.
type message struct{ id, event, data string }

func (m *message) field(text string) {
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		m.id = value
	case "event":
		m.event = value
	case "data":
		if m.data != "" {
			m.data += "\n"
		}
		m.data += value
	}
}

// logFollower is one Logs.
type logFollower struct {
	c    *Client
	path string
	opt  LogOptions
	fn   func(api.LogLine) error
	node string // whose log it was
}

// logMessage is one line of the answer: a line of the log, or an error.
type logMessage struct {
	api.LogLine
	Problem *api.Problem `json:"problem"`
}

func (l *logFollower) once(ctx context.Context) (began bool, err error) {
	opt := l.opt
	if l.node != "" {
		opt.Tail = -1
	}
	res, r, err := l.open(ctx, opt)
	if err != nil {
		return false, err
	}
	if node := res.Header.Get(api.HeaderNode); l.node != "" && node != l.node {
		res.Body.Close() // it began anew there: from its beginning, as far as the tail goes
		if res, r, err = l.open(ctx, l.opt); err != nil {
			return false, err
		}
	}
	defer res.Body.Close()
	l.node = res.Header.Get(api.HeaderNode)
	return true, l.read(r)
}

func (l *logFollower) open(ctx context.Context, opt LogOptions) (*http.Response, *bufio.Reader, error) {
	return l.c.stream(ctx, request{method: http.MethodGet, path: "/v1/logs", query: opt.query(l.path), read: true})
}

func (l *logFollower) read(r *bufio.Reader) error {
	for {
		text, err := line(r)
		switch {
		case errors.Is(err, io.EOF) && !l.opt.Follow:
			return nil
		case err != nil:
			return l.c.broken(err)
		case text == "":
			continue // a sign of life
		}
		if err := l.take(text); err != nil {
			return err
		}
	}
}

func (l *logFollower) take(text string) error {
	var m logMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return endError{fmt.Errorf("cannot decode a log line: %w", err)}
	}
	if m.Problem != nil {
		return m.Problem
	}
	if err := l.fn(m.LogLine); err != nil {
		return endError{err}
	}
	return nil
}
