package api

import (
	"context"
	"net/http"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// Rollout is a new file of a tree that its children get a few at a time (update), or
// the last one that was taken back.
type Rollout struct {
	// Status: halted is where a child failed, or somebody paused it; reverted is kept
	// until the tree is applied again.
	Status string `json:"status" enum:"updating,halted,reverting,reverted"`
	// Done of Total children have had their turn.
	Done  int    `json:"done"`
	Total int    `json:"total"`
	By    string `json:"by,omitempty"`  // who applied the file
	Why   string `json:"why,omitempty"` // it is halted, or goes back
	// Trying are the children that have their turn now.
	Trying []string `json:"trying,omitempty"`
	// Until is when the rollout looks again, by the leader's wall clock, about; absent
	// if it waits for something else.
	Until *time.Time `json:"until,omitempty"`
}

// maxTrying bounds the children of an answer that are named.
const maxTrying = 100

func (p *picture) rollout(t *supervisor.Tree) *Rollout {
	r, ok := t.Rollout()
	if !ok {
		return nil
	}
	st := &Rollout{
		Status: string(r.Phase), Done: r.Done, Total: r.Total, By: r.By, Why: p.names.text(r.Why),
		Trying: r.Trying[:min(len(r.Trying), maxTrying)],
	}
	if r.Next > 0 {
		at := p.wall(r.Next)
		st.Until = &at
	}
	return st
}

// rolloutRoutes are an operator's words about the rollout of a tree.
func (s *Server) rolloutRoutes() {
	for verb, summary := range map[supervisor.RolloutVerb]string{
		supervisor.RolloutPause:  "Let no further child have its turn in the update of a tree",
		supervisor.RolloutResume: "Go on with the update of a tree that is halted",
		supervisor.RolloutRevert: "Give a tree its former file back, as far as its children have the new one",
	} {
		add(s, write, op(http.MethodPost, "rollout-"+string(verb), "/v1/rollout/"+string(verb), "trees", summary),
			func(ctx context.Context, in *verbInput) (*answer[Done], error) {
				cmd := fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: fsm.VerbRollout + string(verb), Path: in.Body.Path}}
				return s.submit(ctx, in.Written, cmd, "rollout "+string(verb)+" of "+in.Body.Path+" is accepted")
			})
	}
}
