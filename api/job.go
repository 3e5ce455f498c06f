package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// job is one request with its body, ready to be tried here and elsewhere as
// often as it takes.
type job struct {
	kind  kind
	r     *http.Request // without its body
	body  []byte
	stale bool
	goTo  place // who holds the log, once it is known
}

// place is another node.
type place struct{ id, addr string }

// serveClient serves who is not a node.
func (s *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	k := s.kind(r)
	p := s.guard(r)
	if p == nil {
		p = s.allowed(r, k)
	}
	if p != nil {
		writeProblem(w, p)
		return
	}
	dropInternal(r.Header)
	s.serve(w, r, k, s.fromClients, func(j *job) {
		if j.kind == write {
			j.name()
		}
		s.hold(w, j)
	})
}

// serveNode serves requests that another node forwards. They are never
// forwarded again: who is asked wrongly says so.
func (s *Server) serveNode(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	s.serve(w, r, s.kind(r), s.fromNodes, func(j *job) { s.inner.ServeHTTP(w, j.request(j.r.Context())) })
}

// serve runs a request within the limits of number, time and size.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, k kind, g gates, do func(*job)) {
	leave, err := g.enter(k)
	if err != nil {
		writeProblem(w, newProblem(http.StatusServiceUnavailable, CodeBusy,
			"this node serves as many requests as it may; send it again in a moment, or ask another node"))
		return
	}
	defer leave()
	ctx, cancel := s.bounds(w, r, k)
	defer cancel()
	j := &job{kind: k, r: r.WithContext(ctx), stale: k == local || r.URL.Query().Get("stale") == "true" && k.readable()}
	release, p := s.readBody(w, j)
	defer release()
	if p != nil {
		writeProblem(w, p)
		return
	}
	do(j)
}

// readable: it may be answered by any replica, if the client wants that.
func (k kind) readable() bool { return k == read || k == follow || k == logs }

// bounds limits a request in time. A stream ends with the server.
func (s *Server) bounds(w http.ResponseWriter, r *http.Request, k kind) (context.Context, context.CancelFunc) {
	rc := http.NewResponseController(w)
	if k.long() {
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // put off as it goes on
		ctx, cancel := context.WithCancel(r.Context())
		stop := context.AfterFunc(s.ending, cancel)
		return ctx, func() { stop(); cancel() }
	}
	limit := s.cfg.HoldFor + answerTimeout
	if k == restore {
		limit = s.cfg.HoldFor + restoreTimeout
	}
	_ = rc.SetWriteDeadline(time.Now().Add(limit + bodyTimeout)) // not every writer can
	return context.WithTimeout(r.Context(), limit)
}

// readBody takes the body in, whole: it may be needed again.
func (s *Server) readBody(w http.ResponseWriter, j *job) (release func(), p *Problem) {
	release = func() {}
	if j.r.Body == nil || j.r.Body == http.NoBody {
		return release, nil
	}
	most := j.kind.maxBody()
	size := j.r.ContentLength
	if size < 0 {
		size = most
	}
	tooLarge := newProblem(http.StatusRequestEntityTooLarge, CodeTooLarge,
		fmt.Sprintf("cannot take a request body of more than %d MiB", most>>20))
	if size > most {
		return release, tooLarge
	}
	if s.bodies.Add(size) > maxBodies {
		s.bodies.Add(-size)
		return release, newProblem(http.StatusServiceUnavailable, CodeBusy, "this node holds as much data of requests as it may; send it again in a moment")
	}
	release = func() { s.bodies.Add(-size) }
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, j.r.Body, most))
	// A deadline that stays would end the request while it waits for a leader.
	_ = rc.SetReadDeadline(time.Time{})
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return release, tooLarge
	case err != nil:
		return release, badRequest("cannot read the request body: %v", err)
	}
	j.body = body
	if key := j.r.Header.Get(HeaderKey); len(key) > maxKey {
		return release, badRequest("cannot use an %s of more than %d characters", HeaderKey, maxKey)
	}
	return release, nil
}

// name gives a write its request id: the client's key, or a new one, and a hash
// of what is asked, so that one key on two different requests is two requests.
func (j *job) name() {
	key := j.r.Header.Get(HeaderKey)
	if key == "" || bug.On("request-key-ignored") {
		key = rand.Text()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", j.r.Method, j.r.URL.RequestURI())
	h.Write(j.body)
	j.r.Header.Set(HeaderKey, key+"."+hex.EncodeToString(h.Sum(nil)[:8]))
}

// request makes a fresh copy to serve here.
func (j *job) request(ctx context.Context) *http.Request {
	r := j.r.Clone(ctx)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(j.body)), int64(len(j.body))
	return r
}

// remote makes a fresh copy to send to another node.
func (j *job) remote(ctx context.Context, from, to string) (*http.Request, error) {
	target := "http://" + to + j.r.URL.RequestURI()
	r, err := http.NewRequestWithContext(ctx, j.r.Method, target, bytes.NewReader(j.body))
	if err != nil {
		return nil, fmt.Errorf("cannot forward: %v", err)
	}
	for _, name := range []string{"Accept", "Content-Type", "Last-Event-Id", "If-Match", "If-None-Match", HeaderBy} {
		if v := j.r.Header.Values(name); len(v) > 0 {
			r.Header[name] = v
		}
	}
	if j.kind == write { // net/http repeats by itself what has a key
		r.Header.Set(HeaderKey, j.r.Header.Get(HeaderKey))
	}
	r.Header.Set(headerForwarded, from)
	if j.goTo.id != "" {
		r.Header.Set(headerHere, "true")
	}
	return r, nil
}

// recover keeps a fault in one answer from ending more than that answer.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if _, ours := v.(runtime.Error); ours {
		s.log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "why", v, "stack", string(debug.Stack()))
	} else if v != http.ErrAbortHandler { // huma panics when it cannot write
		s.log.Debug("an answer broke off", "method", r.Method, "path", r.URL.Path, "why", v)
	}
	panic(http.ErrAbortHandler) // net/http closes the connection: the answer is incomplete
}

// serveHere answers at this node.
func (s *Server) serveHere(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(HeaderIndex, fmt.Sprint(s.index()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if _, pattern := s.mux.Handler(r); pattern == "" {
		writeProblem(w, notFound("there is no %s %s; /openapi.json lists what there is", r.Method, r.URL.Path))
		return
	}
	here := r.Header.Get(headerHere) != ""
	s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hereKey{}, here)))
}

// hereKey marks a request for the log that this very node holds.
type hereKey struct{}
