package api

import (
	"context"
	"net/http"
	"runtime"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// fresh makes sure that a read sees all that was acknowledged before it (P6),
// unless it may be stale.
func (s *Server) fresh(ctx context.Context, in Asked) error {
	if in.Stale || bug.On("api-reads-stale") {
		return nil
	}
	return s.cfg.Cluster.Verify(ctx)
}

// look answers a read.
func look[T any](ctx context.Context, s *Server, in Asked, see func(*picture) (T, error)) (*answer[T], error) {
	if err := s.fresh(ctx, in); err != nil {
		return nil, err
	}
	var a answer[T]
	var err error
	a.Index = s.picture(func(p *picture) { a.Body, err = see(p) })
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func (s *Server) getStatus(ctx context.Context, in *Asked) (*answer[Status], error) {
	return look(ctx, s, *in, func(p *picture) (Status, error) { return p.status(), nil })
}

func (s *Server) getNodes(ctx context.Context, in *Asked) (*answer[[]NodeStatus], error) {
	return look(ctx, s, *in, func(p *picture) ([]NodeStatus, error) { return p.nodes(), nil })
}

func (s *Server) getTrees(ctx context.Context, in *Asked) (*answer[[]TreeStatus], error) {
	return look(ctx, s, *in, func(p *picture) ([]TreeStatus, error) { return p.trees(), nil })
}

func (s *Server) getTree(ctx context.Context, in *named) (*answer[TreeStatus], error) {
	return look(ctx, s, in.Asked, func(p *picture) (TreeStatus, error) {
		t := p.v.Tree(in.Name)
		if t == nil {
			return TreeStatus{}, notFound("there is no tree %q", in.Name)
		}
		return p.tree(t, true), nil
	})
}

type text struct {
	Index       uint64 `header:"X-Selfware-Index"`
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"Tells this file from others; for If-Match"`
	Body        []byte
}

func (s *Server) getSpec(ctx context.Context, in *named) (*text, error) {
	old, index, err := s.specOf(ctx, in.Asked, in.Name)
	switch {
	case err != nil:
		return nil, err
	case old == nil:
		return nil, notFound("there is no tree %q", in.Name)
	}
	return &text{Index: index, ContentType: "application/yaml", ETag: `"` + fsm.Tag(*old) + `"`, Body: spec.Format(*old)}, nil
}

// specOf is what a tree was made from; nil if there is no such tree. A spec is
// never changed, so it may be read after the View.
func (s *Server) specOf(ctx context.Context, in Asked, name string) (old *supervisor.Spec, index uint64, err error) {
	if err := s.fresh(ctx, in); err != nil {
		return nil, 0, err
	}
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		index = v.Index()
		if t := v.Tree(name); t != nil {
			sp := t.Spec()
			old = &sp
		}
	})
	return old, index, nil
}

type planInput struct {
	Asked
	File
}

func (s *Server) plan(ctx context.Context, in *planInput) (*answer[Plan], error) {
	next, err := spec.Parse("tree.yaml", in.RawBody)
	if err != nil {
		return nil, err
	}
	old, index, err := s.specOf(ctx, in.Asked, next.Name)
	if err != nil {
		return nil, err
	}
	notes := s.scaledNotes(&next)
	changes := spec.Diff(old, &next)
	if changes == nil {
		changes = []spec.Change{}
	}
	tag := fsm.TagNone
	if old != nil {
		tag = fsm.Tag(*old)
	}
	return &answer[Plan]{index, Plan{Tree: next.Name, New: old == nil, Tag: tag, Changes: changes, Notes: append(notes, s.notes(&next)...)}}, nil
}

// PathInput is the input of a read about one path.
type PathInput struct {
	Asked
	Path string `query:"path" required:"true" maxLength:"8192" doc:"Path of a worker, a supervisor or a tree" example:"shop/web/api"`
}

func (s *Server) why(ctx context.Context, in *PathInput) (*answer[Why], error) {
	return look(ctx, s, in.Asked, func(p *picture) (Why, error) { return p.why(in.Path) })
}

type lifeInput struct {
	Asked
	Path string `path:"path" maxLength:"8192" doc:"Path of a worker, with its slashes as they are or as %2F" example:"shop/web/api"`
}

func (s *Server) epoch(ctx context.Context, in *lifeInput) (*answer[Epoch], error) {
	return look(ctx, s, in.Asked, func(p *picture) (Epoch, error) { return p.epoch(in.Path) })
}

func (s *Server) peers(ctx context.Context, in *Asked) (*answer[[]Peer], error) {
	return look(ctx, s, *in, func(p *picture) ([]Peer, error) {
		list := []Peer{}
		for _, id := range sortedKeys(p.peers) {
			list = append(list, Peer{
				ID: id, Name: p.names.of(id), Address: p.peers[id].Address, Voter: p.peers[id].Voter, Leader: id == p.leader,
			})
		}
		return list, nil
	})
}

type healthAnswer struct {
	Status int
	Body   Health
}

func (s *Server) health(context.Context, *struct{}) (*healthAnswer, error) {
	leader, _ := s.cfg.Cluster.Leader()
	h := &healthAnswer{Status: http.StatusOK}
	h.Body = Health{
		Status: "ok", Node: s.cfg.Self.Name, Leader: s.names().of(leader), Leads: s.cfg.Cluster.Leads(), Index: s.index(),
	}
	if leader == "" {
		h.Status, h.Body.Status = http.StatusServiceUnavailable, "no_leader"
	}
	return h, nil
}

func (s *Server) version(context.Context, *struct{}) (*answer[Version], error) {
	return &answer[Version]{s.index(), Version{Version: s.cfg.Version, Go: runtime.Version(), Schema: fsm.Schema}}, nil
}

// hash encodes the whole state, so one at a time.
func (s *Server) hash(ctx context.Context, _ *struct{}) (*answer[Hash], error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	index, sum, err := s.cfg.Cluster.Machine().Hash()
	if err != nil {
		return nil, err
	}
	return &answer[Hash]{index, Hash{Index: index, Hash: sum}}, nil
}
