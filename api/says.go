package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/runner"
)

// This file tells what children say of themselves, and how their nodes find them. None of
// it is replicated: it may change many times a second, and nothing is decided by it. The
// node that holds a child keeps the last, and is asked for it.

// Says is what a child that runs said of itself last, and how its node finds it.
type Says struct {
	Path string `json:"path" example:"shop/web/api"`
	Node string `json:"node"` // its name
	PID  int    `json:"pid"`
	// Status is its last STATUS= (sd_notify(3)), as valid UTF-8 in at most 256 bytes or so.
	Status string `json:"status,omitempty" example:"412 requests, 3 waiting" doc:"What it said last of itself, by STATUS= (sd_notify(3))"`
	// Health is what its liveness check found last; absent if it has none, or none yet.
	Health   string `json:"health,omitempty" enum:"Healthy,Degraded,Unhealthy" doc:"What its liveness check found last"`
	Severity string `json:"severity,omitempty" enum:"Warning,Critical,Fatal" doc:"Of Unhealthy"`
	Reason   string `json:"reason,omitempty" doc:"Why it is not Healthy"`
}

func (s *Server) saysRoutes() {
	route := get("says", "/v1/says", "children", "What children say of themselves, and how they are found, from the node where they run")
	route.Description = "Of one worker, or of all on a node that say something or have a liveness check. " +
		"Empty if it does not run, or says nothing. It is as of now, and not replicated; a node that cannot be reached is an error."
	add(s, read, route, s.says)
}

type saysInput struct {
	Asked
	Path string `query:"path" maxLength:"8192" doc:"Path of a worker; all of the node if absent" example:"shop/web/api"`
	Node string `query:"node" maxLength:"256" doc:"Node to ask, by name or id; where the worker runs if absent"`
}

func (s *Server) says(ctx context.Context, in *saysInput) (*answer[[]Says], error) {
	if here, _ := ctx.Value(hereKey{}).(bool); !here {
		if err := s.fresh(ctx, in.Asked); err != nil {
			return nil, err
		}
		n, err := s.speaker(in.Path, in.Node)
		switch {
		case err != nil:
			return nil, err
		case n == nil:
			return &answer[[]Says]{s.index(), []Says{}}, nil
		case n.ID != s.cfg.Self.ID:
			return nil, &elsewhere{newProblem(http.StatusMisdirectedRequest, CodeUnreachable, "the child is on node "+n.Name), n.ID, n.Address}
		}
	}
	list := []Says{}
	if s.cfg.Live != nil {
		for _, p := range s.cfg.Live() {
			if one := s.saying(p); (in.Path == "" || p.Name == in.Path) && one.Status+one.Health != "" {
				list = append(list, one)
			}
		}
	}
	return &answer[[]Says]{s.index(), list}, nil
}

func (s *Server) saying(p runner.Process) Says {
	return Says{
		Path: p.Name, Node: s.cfg.Self.Name, PID: p.PID, Status: p.Status,
		Health: p.Health, Severity: p.Severity, Reason: p.Reason,
	}
}

// speaker is the node to ask: the one named, or that of the worker; nil if it runs nowhere.
func (s *Server) speaker(path, asked string) (n *fsm.Node, err error) {
	s.picture(func(p *picture) {
		key := asked
		switch {
		case path != "":
			t, st, fault := p.find(path)
			if err = fault; err == nil && st.Supervisor {
				err = badRequest("%s is a supervisor, and says nothing; name one of its workers: %s", path, workersOf(t, path))
			}
			if err != nil {
				return
			}
			if key == "" {
				key = st.Node
			}
		case key == "":
			err = badRequest("name a worker (path), or a node")
			return
		}
		if key == "" {
			return
		}
		if n, err = p.v.Node(key); err != nil {
			err = notFound("there is no node %q", asked)
			return
		}
		if n.State != fsm.NodeAlive {
			err = newProblem(http.StatusBadGateway, CodeUnreachable, fmt.Sprintf("cannot ask node %s: it is %s", n.Name, n.State))
		}
	})
	return n, err
}
