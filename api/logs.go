package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

const (
	lineDelay = 20 * time.Millisecond  // lines that come together go out together
	lookAgain = 100 * time.Millisecond // at most so often whether a child is still here
	lineBatch = 32 << 10
)

func (s *Server) logRoutes() {
	route := get("logs", "/v1/logs", "children", "What a worker wrote, from the node where it runs or last ran")
	route.Description = "One LogLine in JSON per line; empty lines are signs of life. The last line may be {\"problem\": Problem}. " +
		"With follow the answer goes on until the child goes to another node; ask again then."
	route.Responses = raw("application/x-ndjson", "Log lines")
	add(s, logs, route, s.logs)
}

type logsInput struct {
	PathInput
	Follow bool   `query:"follow" doc:"Go on with what is written from now on"`
	Tail   int    `query:"tail" default:"100" minimum:"0" maximum:"100000" doc:"Lines of each stream to begin with"`
	Stream string `query:"stream" default:"both" enum:"stdout,stderr,both" doc:"Which output"`
	Node   string `query:"node" maxLength:"256" doc:"Node whose log to read, by name or id; where the child runs or last ran if absent"`
}

func (s *Server) logs(ctx context.Context, in *logsInput) (*huma.StreamResponse, error) {
	if here, _ := ctx.Value(hereKey{}).(bool); !here {
		if err := s.fresh(ctx, in.Asked); err != nil {
			return nil, err
		}
		n, err := s.holder(in.Path, in.Node)
		switch {
		case err != nil:
			return nil, err
		case n.ID != s.cfg.Self.ID:
			return nil, &elsewhere{newProblem(http.StatusMisdirectedRequest, CodeUnreachable, "the log is on node "+n.Name), n.ID, n.Address}
		}
	}
	opt := runner.LogOptions{Follow: in.Follow, Tail: in.Tail, Stream: in.Stream}
	if in.Tail == 0 {
		opt.Tail = -1
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		w.Header().Set(HeaderNode, s.cfg.Self.Name)
		w.Header().Set("Content-Type", "application/x-ndjson")
		s.sendLogs(r.Context(), w, in.Path, in.Node != "", opt)
	}}, nil
}

// elsewhere tells the node that forwards who holds the log.
type elsewhere struct {
	*Problem
	id, addr string
}

// GetHeaders names the holder.
func (e *elsewhere) GetHeaders() http.Header {
	return http.Header{headerGoID: {e.id}, headerGoAddr: {e.addr}}
}

// holder is the node that holds the log of a child: the one asked for, or that
// where it runs or last ran.
func (s *Server) holder(path, asked string) (n *fsm.Node, err error) {
	s.picture(func(p *picture) {
		key := asked
		if key == "" {
			if key, err = p.lastHost(path); err != nil {
				return
			}
		}
		if n, err = p.v.Node(key); err != nil {
			err = notFound("there is no node %q any more, so its logs cannot be read", p.names.of(key))
			return
		}
		if n.State != fsm.NodeAlive {
			err = newProblem(http.StatusBadGateway, CodeUnreachable, fmt.Sprintf(
				"cannot read the logs of %s: node %s, which holds them, is %s", path, n.Name, n.State))
		}
	})
	return n, err
}

func (p *picture) lastHost(path string) (string, error) {
	t, st, err := p.find(path)
	switch {
	case err != nil:
		return "", err
	case st.Supervisor:
		return "", badRequest("cannot read logs of %s: it is a supervisor; name one of its workers: %s", path, workersOf(t, path))
	case st.Node != "":
		return st.Node, nil
	}
	for _, d := range slices.Backward(t.History(path)) {
		if d.Node != "" {
			return d.Node, nil
		}
	}
	return "", notFound("cannot read logs of %s: it has not run yet", path)
}

func workersOf(t *supervisor.Tree, path string) string {
	var paths []string
	for _, c := range t.Children() {
		if !c.Supervisor && strings.HasPrefix(c.Path, path+"/") {
			paths = append(paths, c.Path)
		}
		if len(paths) == 5 {
			break
		}
	}
	return strings.Join(paths, ", ")
}

// left tells whether a child has a place on another node by now, as far as this
// node's replica knows.
func (s *Server) left(path string) (gone bool) {
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		if t := v.Tree(supervisor.TreeName(path)); t != nil {
			st, ok := t.Child(path)
			gone = ok && st.Node != "" && st.Node != s.cfg.Self.ID
		}
	})
	return gone
}

// sendLogs writes the lines of a log to a client. Until the first one there may
// be an error instead.
func (s *Server) sendLogs(ctx context.Context, w http.ResponseWriter, path string, stay bool, opt runner.LogOptions) {
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if opt.Follow && !stay {
		watch.Go(func() { s.watchChild(ctx, cancel, path) })
	}
	out := newLines(w, cancel)
	err := s.cfg.Logs.Logs(ctx, path, opt, out.add)
	began := out.end()
	if err == nil || ctx.Err() != nil {
		return // a child that has left, a client that has gone
	}
	p := s.problem(err)
	if !began {
		writeProblem(w, p)
		return
	}
	data, _ := json.Marshal(map[string]*Problem{"problem": p})
	_, _ = w.Write(append(data, '\n'))
}

// watchChild ends the following of a log when its child has gone elsewhere.
func (s *Server) watchChild(ctx context.Context, cancel context.CancelCauseFunc, path string) {
	for {
		changed := s.cfg.Cluster.Watch()
		if s.left(path) {
			cancel(errLeft)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		pause := time.NewTimer(lookAgain)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

var errLeft = errors.New("the child has left this node")

// lines gathers log lines and sends them in good time. Its lock is held while
// it writes: add waits for a slow client, for writeTimeout at most.
type lines struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	broken func(error) // told when it cannot go on

	lock  chan struct{} // one token; a blocked write must count as blocked in a simulated network too
	buf   bytes.Buffer
	timer *time.Timer
	soon  bool // the timer fires within lineDelay
	began bool // something was sent
	over  bool
}

func newLines(w http.ResponseWriter, broken func(error)) *lines {
	l := &lines{w: w, rc: http.NewResponseController(w), broken: broken, lock: make(chan struct{}, 1)}
	defer l.locked()()
	l.timer = time.AfterFunc(lineDelay, l.fire) // the head goes out though no line comes
	return l
}

// locked takes the lock, to be given back by calling what it returns.
func (l *lines) locked() (unlock func()) {
	l.lock <- struct{}{}
	return func() { <-l.lock }
}

// add takes one line.
func (l *lines) add(line runner.LogLine) error {
	data, err := json.Marshal(LogLine{Stream: line.Stream, Text: line.Text})
	if err != nil {
		return err
	}
	defer l.locked()()
	l.buf.Write(append(data, '\n'))
	if l.buf.Len() >= lineBatch {
		return l.flush()
	}
	if !l.soon {
		l.soon = true
		l.timer.Reset(lineDelay)
	}
	return nil
}

// fire sends what waits, or a sign of life.
func (l *lines) fire() {
	defer l.locked()()
	if l.over {
		return
	}
	if l.buf.Len() == 0 {
		l.buf.WriteByte('\n')
	}
	if err := l.flush(); err != nil {
		l.broken(err)
		return
	}
	l.soon = false
	l.timer.Reset(KeepAlive)
}

func (l *lines) flush() error {
	l.began = true
	_ = l.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := l.w.Write(l.buf.Bytes())
	l.buf.Reset()
	if err != nil {
		return err
	}
	return l.rc.Flush()
}

// end sends what is left; nothing is sent after it. It tells whether anything
// was ever sent.
func (l *lines) end() (began bool) {
	defer l.locked()()
	l.over = true
	l.timer.Stop()
	if l.buf.Len() > 0 {
		_ = l.flush()
	}
	return l.began
}
