package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// submit puts a write through the log. Its request id was settled by the first
// node, so that a repeat finds the first one's answer.
func (s *Server) submit(ctx context.Context, in Written, cmd fsm.Command, what string) (*answer[Done], error) {
	cmd.Request, cmd.By = in.Key, cmp.Or(in.By, "api")
	r, err := s.cfg.Cluster.Submit(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &answer[Done]{r.Index, Done{Index: r.Index, Message: s.message(r, what)}}, nil
}

// message says what was done. The answer to a repeat has no decisions; what was
// decided then is in the events.
func (s *Server) message(r fsm.Result, what string) string {
	switch n := len(r.Decisions); {
	case n == 0:
		return what
	case n == 1, explains[string(r.Decisions[0].Verdict)]: // that says what was asked for; the rest follows
		return what + ": " + s.names().text(r.Decisions[0].Sentence)
	default:
		return fmt.Sprintf("%s: %d decisions", what, n)
	}
}

// Expected is the condition of a write about one tree.
type Expected struct {
	IfMatch     string `header:"If-Match" maxLength:"256" doc:"ETag that the tree's file must have, as its spec and a plan tell; otherwise nothing is done (412)"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"256" doc:"Only *: there must be no such tree"`
}

// tag is what the state must find; empty if nothing is expected.
func (e Expected) tag() (string, error) {
	tag, quoted := strings.CutPrefix(e.IfMatch, `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	switch {
	case e.IfNoneMatch == "*" && e.IfMatch == "":
		return fsm.TagNone, nil
	case e.IfNoneMatch != "":
		return "", badRequest("If-None-Match can only be *, and without If-Match")
	case e.IfMatch == "":
		return "", nil
	case quoted && closed && tag != "" && tag != fsm.TagNone && !strings.Contains(tag, `"`):
		return tag, nil
	}
	return "", badRequest("If-Match must be one ETag of a tree in quotes, not %s", e.IfMatch)
}

type applyInput struct {
	Written
	Expected
	File
	Name string `path:"name" maxLength:"64" doc:"Name of the tree, the same as in the file"`
}

func (s *Server) apply(ctx context.Context, in *applyInput) (*answer[Done], error) {
	tree, err := spec.Parse(in.Name+".yaml", in.RawBody)
	if err != nil {
		return nil, err
	}
	if tree.Name != in.Name {
		return nil, badRequest("the file describes the tree %q, but it was sent as %q; one of the two is wrong", tree.Name, in.Name)
	}
	tag, err := in.tag()
	if err != nil {
		return nil, err
	}
	notes := s.notes(&tree)
	done, err := s.submit(ctx, in.Written, fsm.Command{Type: fsm.TypeApplyTree, Tree: &tree, If: tag}, "tree "+in.Name+" is applied")
	if err == nil && len(notes) > 0 {
		done.Body.Message += "; " + strings.Join(notes, "; ")
	}
	return done, err
}

type treeInput struct {
	Written
	Expected
	Name string `path:"name" maxLength:"64" doc:"Name of the tree"`
}

func (s *Server) deleteTree(ctx context.Context, in *treeInput) (*answer[Done], error) {
	tag, err := in.tag()
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, in.Written, fsm.Command{Type: fsm.TypeDeleteTree, Name: in.Name, If: tag}, "tree "+in.Name+" is being deleted")
}

// explains are the verbs that take a reason.
var explains = map[string]bool{"pause": true, "resume": true, "reset": true}

type verbInput struct {
	Written
	Body Ask
}

func (s *Server) verb(ctx context.Context, verb string, in *verbInput) (*answer[Done], error) {
	if in.Body.To != "" && verb != "move" {
		return nil, badRequest("only move takes a node to go to, not %s", verb)
	}
	if in.Body.Why != "" && !explains[verb] {
		return nil, badRequest("only %s takes a reason, not %s", strings.Join(sortedKeys(explains), ", "), verb)
	}
	cmd := fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: verb, Path: in.Body.Path, To: in.Body.To, Why: in.Body.Why}}
	return s.submit(ctx, in.Written, cmd, verb+" of "+in.Body.Path+" is accepted")
}

type nodeInput struct {
	Written
	Node string `path:"node" maxLength:"256" doc:"Node, by name or id"`
}

// nodeID is the id of a node; an unknown one is left for the state to refuse.
func (s *Server) nodeID(key string) string {
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		if n, err := v.Node(key); err == nil {
			key = n.ID
		}
	})
	return key
}

func (s *Server) drain(ctx context.Context, in *nodeInput, on bool) (*answer[Done], error) {
	what := "node " + in.Node + " is draining"
	if !on {
		what = "node " + in.Node + " takes children again"
	}
	cmd := fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: s.nodeID(in.Node), On: on}}
	return s.submit(ctx, in.Written, cmd, what)
}

func (s *Server) leave(ctx context.Context, in *nodeInput) (*answer[Done], error) {
	if err := s.cfg.Cluster.Leave(ctx, in.Node, in.Key); err != nil {
		return nil, s.unsettled(err)
	}
	return s.done("node " + in.Node + " has left the cluster; its process ends by itself"), nil
}

// unsettled words an error of raft itself: on a node that leads no more it tells
// nothing about what was done.
func (s *Server) unsettled(err error) error {
	if p := s.problemOr(err, CodeRefused); p.Code != CodeRefused || errors.Is(err, supervisor.ErrRefused) || s.cfg.Cluster.Leads() {
		return p
	}
	return newProblem(http.StatusServiceUnavailable, CodeUncertain, s.names().text(err.Error()))
}

func (s *Server) done(message string) *answer[Done] {
	index := s.index()
	return &answer[Done]{index, Done{Index: index, Message: message}}
}

type transferInput struct {
	Body *Transfer
}

func (s *Server) transfer(ctx context.Context, in *transferInput) (*answer[Done], error) {
	to := ""
	if in.Body != nil {
		to = in.Body.To
	}
	if err := s.cfg.Cluster.Transfer(ctx, to); err != nil {
		return nil, s.problemOr(err, CodeRefused)
	}
	return s.done("leadership goes to " + cmp.Or(to, "the most advanced voter")), nil
}

func (s *Server) saveSnapshot(ctx context.Context, _ *struct{}) (*text, error) {
	state, err := s.cfg.Cluster.SaveSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &text{Index: s.index(), ContentType: "application/octet-stream", Body: SealSnapshot(state)}, nil
}

type snapshotInput struct {
	RawBody []byte `contentType:"application/octet-stream" required:"true" doc:"A sealed snapshot"`
}

func (s *Server) restoreSnapshot(ctx context.Context, in *snapshotInput) (*answer[Done], error) {
	state, err := OpenSnapshot(in.RawBody)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Cluster.RestoreSnapshot(ctx, state); err != nil {
		return nil, s.problemOr(err, CodeRefused)
	}
	return s.done("the snapshot is restored"), nil
}
