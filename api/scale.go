package api

import (
	"context"
	"fmt"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// Scale is the size that a pool is to have.
type Scale struct {
	Path string `json:"path" minLength:"1" maxLength:"8192" doc:"Path of a pool" example:"shop/jobs"`
	Size int    `json:"size" minimum:"0" maximum:"100000" doc:"How many instances it has from now on, until its size in the tree's file changes" example:"5"`
}

type scaleInput struct {
	Written
	Body Scale
}

func (s *Server) scale(ctx context.Context, in *scaleInput) (*answer[Done], error) {
	cmd := fsm.Command{Type: fsm.TypeScale, Scale: &fsm.Scale{Path: in.Body.Path, Size: in.Body.Size}}
	return s.submit(ctx, in.Written, cmd, fmt.Sprintf("%s has %d instances from now on", in.Body.Path, in.Body.Size))
}

func (s *Server) scaledNotes(next *supervisor.Spec) (notes []string) {
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		if t := v.Tree(next.Name); t != nil {
			notes = scaledNotes(t.Scaled(), next)
		}
	})
	return notes
}

// scaledNotes say what becomes of the pools whose size is an operator's, if another file
// is applied.
func scaledNotes(scaled []supervisor.Scaled, next *supervisor.Spec) []string {
	var notes []string
	for _, s := range scaled {
		switch size, holds := s.Holds(next); {
		case holds && size == s.Size:
			notes = append(notes, fmt.Sprintf("%s keeps %d instances (scaled by %s); the file's size is still %d", s.Path, size, s.By, s.File))
		case holds:
			notes = append(notes, fmt.Sprintf("%s goes from %d instances (scaled by %s) to %d, its max", s.Path, s.Size, s.By, size))
		case next.Pool(s.Path) != nil:
			notes = append(notes, fmt.Sprintf("%s goes from %d instances (scaled by %s) to %d, the file's new size", s.Path, s.Size, s.By, size))
		}
	}
	return notes
}
