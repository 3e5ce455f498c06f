package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	firstWait = 10 * time.Millisecond
	lastWait  = 100 * time.Millisecond
	lookEvery = 50 * time.Millisecond  // whether the leader is still the one asked
	lookSlow  = 500 * time.Millisecond // the same, once a stream has begun
	maxKept   = 64 << 10               // of an answer that is not passed on
)

// verdict is what came of one attempt.
type verdict struct {
	done bool // the answer is given
	// why it is not done; again: another attempt is safe and may do better.
	why   *Problem
	again bool
}

// hold tries a request until it is answered, for as long as requests are held:
// an election passes unseen. The waits have jitter, lest all come at once.
func (s *Server) hold(w http.ResponseWriter, j *job) {
	ctx := j.r.Context()
	late := time.NewTimer(s.cfg.HoldFor)
	defer late.Stop()
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		v := s.attempt(w, j)
		if v.done {
			return
		}
		if !v.again {
			writeProblem(w, v.why)
			return
		}
		if j.goTo.id != "" {
			continue // we were told who holds the log
		}
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
			continue
		case <-late.C:
			v.why.Detail = fmt.Sprintf("%s (waited %v)", v.why.Detail, s.cfg.HoldFor)
		case <-s.ending.Done():
			v.why.Detail += " (this node is stopping: ask another)"
		case <-ctx.Done():
		}
		pause.Stop()
		writeProblem(w, v.why)
		return
	}
}

// attempt tries a request once, where it belongs as far as is known now.
func (s *Server) attempt(w http.ResponseWriter, j *job) verdict {
	to := j.goTo
	switch {
	case to.id != "" && to.id != s.cfg.Self.ID:
		return s.there(w, j, to)
	case to.id != "", j.stale, s.cfg.Cluster.Leads():
		return s.here(w, j)
	}
	to.id, to.addr = s.cfg.Cluster.Leader()
	if to.id == "" || to.id == s.cfg.Self.ID {
		return verdict{again: true, why: noLeader("nobody leads the cluster for now")}
	}
	return s.there(w, j, to)
}

func noLeader(why string) *Problem {
	return newProblem(http.StatusServiceUnavailable, CodeNoLeader,
		why+"; nothing was done. If it lasts, see that a majority of the voters runs: selfware-node status --stale")
}

// judge decides about an answer by its head: pass it on (nil), or not.
func (s *Server) judge(j *job, h http.Header) *verdict {
	switch code := h.Get(headerCode); {
	case h.Get(headerGoID) != "":
		j.goTo = place{h.Get(headerGoID), h.Get(headerGoAddr)}
		return &verdict{again: true, why: s.unreachable(j.goTo.id, errors.New("it was not asked in time"))}
	case code == CodeNoLeader:
		return &verdict{again: true, why: noLeader("the leader has changed, and nobody leads for now")}
	case code == CodeUncertain && j.kind.again():
		return &verdict{again: true, why: uncertain(j, "the leader changed while the request was under way")}
	}
	return nil
}

func uncertain(j *job, why string) *Problem {
	advice := "send it again"
	switch {
	case j.kind == write:
		advice = "it may have been done or not; look, or send it again with the same " + HeaderKey
	case !j.kind.again():
		advice = "it may have been done or not; look before you send it again"
	}
	return newProblem(http.StatusServiceUnavailable, CodeUncertain, why+"; "+advice)
}

func (s *Server) unreachable(node string, err error) *Problem {
	return newProblem(http.StatusBadGateway, CodeUnreachable,
		fmt.Sprintf("cannot reach node %s: %v", s.names().of(node), err))
}

// here answers at this node, but keeps an answer back that must not be passed.
func (s *Server) here(w http.ResponseWriter, j *job) verdict {
	r := j.request(j.r.Context())
	if j.goTo.id != "" {
		r.Header.Set(headerHere, "true")
	}
	t := &tentative{w: w, header: make(http.Header), judge: func(h http.Header) *verdict { return s.judge(j, h) }}
	s.inner.ServeHTTP(t, r)
	t.WriteHeader(http.StatusOK) // of an answer without a body
	if t.held != nil {
		return *t.held
	}
	return verdict{done: true}
}

// tentative is a ResponseWriter that passes an answer on unless its head tells
// that it is none.
type tentative struct {
	w      http.ResponseWriter
	header http.Header
	judge  func(http.Header) *verdict
	wrote  bool
	held   *verdict
}

// Header is http.ResponseWriter's.
func (t *tentative) Header() http.Header { return t.header }

// WriteHeader is http.ResponseWriter's.
func (t *tentative) WriteHeader(status int) {
	if t.wrote {
		return
	}
	t.wrote = true
	if t.held = t.judge(t.header); t.held == nil {
		pass(t.w, status, t.header)
	}
}

// Write is http.ResponseWriter's.
func (t *tentative) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.held != nil {
		return len(p), nil
	}
	return t.w.Write(p)
}

// FlushError is for http.ResponseController.
func (t *tentative) FlushError() error {
	t.WriteHeader(http.StatusOK)
	if t.held != nil {
		return nil
	}
	return http.NewResponseController(t.w).Flush()
}

// Unwrap is for http.ResponseController.
func (t *tentative) Unwrap() http.ResponseWriter { return t.w }

// pass sends the head of an answer on, without what counts between nodes only.
func pass(w http.ResponseWriter, status int, from http.Header) {
	h := w.Header()
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade":
		default:
			h[name] = values
		}
	}
	h.Del(headerGoID)
	h.Del(headerGoAddr)
	w.WriteHeader(status)
}

// there has another node answer.
func (s *Server) there(w http.ResponseWriter, j *job, to place) verdict {
	if to.addr != "" {
		s.addrs.Store(to.id, to.addr)
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancelCause(j.r.Context())
	defer cancel(nil)
	r, err := j.remote(ctx, s.cfg.Self.ID, to.id)
	if err != nil {
		return verdict{why: s.problem(err)}
	}
	head := make(chan struct{})
	if j.goTo.id == "" && j.kind.again() {
		watch.Go(func() { s.watchLeader(ctx, cancel, to.id, head, j.kind == follow) })
	}
	res, err := s.transport.RoundTrip(r)
	close(head)
	if err != nil {
		return s.failed(ctx, j, to, err)
	}
	defer res.Body.Close()
	if v := s.judge(j, res.Header); v != nil {
		_, _ = io.CopyN(io.Discard, res.Body, maxKept) // so that the connection serves again
		return *v
	}
	pass(w, res.StatusCode, res.Header)
	if err := copyBody(w, res.Body, j.kind.long()); err != nil && j.kind != follow && j.r.Context().Err() == nil {
		s.log.Debug("a forwarded answer broke off", "node", to.id, "path", j.r.URL.Path, "why", err)
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	return verdict{done: true}
}

// failed judges a request to which there was no answer.
func (s *Server) failed(ctx context.Context, j *job, to place, err error) verdict {
	var unsent dialError
	notSent := errors.As(err, &unsent)
	if cause := context.Cause(ctx); errors.Is(cause, errMoved) {
		err = cause
	}
	v := verdict{again: notSent || j.kind.again(), why: s.unreachable(to.id, err)}
	if j.goTo.id != "" {
		j.goTo = place{} // the child may be elsewhere by now
	} else if !notSent {
		v.why = uncertain(j, fmt.Sprintf("the leader %s did not answer (%v)", s.names().of(to.id), err))
	}
	if j.r.Context().Err() != nil {
		v.again = false
	}
	return v
}

var errMoved = errors.New("it leads no more")

// watchLeader gives a request up when the node that was asked is not the leader
// any more: a leader that has vanished never answers, and a stream from it has
// ended though nobody says so. It ends with ctx, or, but for streams, when the
// head of the answer has come.
func (s *Server) watchLeader(ctx context.Context, cancel context.CancelCauseFunc, id string, head chan struct{}, stream bool) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if now, _ := s.cfg.Cluster.Leader(); now != id {
				cancel(errMoved)
				return
			}
		case <-head:
			if !stream {
				return
			}
			look.Reset(lookSlow)
			head = nil
		case <-ctx.Done():
			return
		}
	}
}

// copyBody passes a body on; of a stream each piece at once.
func copyBody(w http.ResponseWriter, body io.Reader, long bool) error {
	if !long {
		_, err := io.Copy(w, body)
		return err
	}
	rc := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for n := 0; ; {
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		if err := rc.Flush(); err != nil { // the head at first, before anything follows
			return err
		}
		var err error
		n, err = body.Read(buf)
		switch {
		case n > 0:
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// dialError says that a request cannot have been sent.
type dialError struct{ error }

// Unwrap gives the cause.
func (e dialError) Unwrap() error { return e.error }

// dial opens a connection to the node that stands where a URL has its host.
func (s *Server) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	node, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, dialError{err}
	}
	addr := ""
	if v, ok := s.addrs.Load(node); ok {
		addr = v.(string)
	}
	conn, err := s.cfg.Cluster.DialHTTP(ctx, node, addr)
	if err != nil {
		return nil, dialError{err}
	}
	return conn, nil
}
