package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/supervisor"
)

// Explanation says of children how long each fault may keep them from running.
type Explanation struct {
	Profile  string      `json:"profile" enum:"lan,fast,wan"`
	Children []Explained `json:"children"`
}

// Explained is one worker. Gaps stand in the order of the faults, the same for all.
type Explained struct {
	Path      string `json:"path"`
	Exclusive bool   `json:"exclusive"`
	By        string `json:"by,omitempty" doc:"The child, supervisor or tree that makes it exclusive"`
	Note      string `json:"note,omitempty"`
	Gaps      []Gap  `json:"gaps"`
}

// Gap is the longest time for which no process of a child runs because of a fault,
// while most voters are well; what the program itself takes to start not counted.
type Gap struct {
	Fault   string        `json:"fault"`
	Longest time.Duration `json:"longest" doc:"In nanoseconds"`
	Terms   []GapTerm     `json:"terms,omitempty" doc:"What it is the sum of"`
	Note    string        `json:"note,omitempty"`
}

// GapTerm is one part of a Gap.
type GapTerm struct {
	Time time.Duration `json:"time" doc:"In nanoseconds; negative where it is taken off"`
	What string        `json:"what"`
}

// Explain explains the workers of a tree at and below a path, under the times of a
// profile. An error means that there is no such profile.
func Explain(profile string, s supervisor.Spec, under string) (Explanation, error) {
	e := explainer{under: under}
	for _, exclusive := range []bool{false, true} {
		gaps, err := cluster.GapsOf(profile, exclusive)
		if err != nil {
			return Explanation{}, err
		}
		for _, g := range gaps {
			e.gaps[bit(exclusive)] = append(e.gaps[bit(exclusive)], gapOf(g))
		}
	}
	by := ""
	if s.Exclusive {
		by = s.Name
	}
	e.children(s.Name, by, s.Strategy, s.Expand().Children)
	if len(s.After) > 0 {
		for i := range e.found {
			e.found[i].Note = joined(e.found[i].Note, "also stops with what its tree comes after ("+strings.Join(s.After, ", ")+"), and starts after it")
		}
	}
	return Explanation{Profile: profile, Children: e.found}, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func gapOf(g cluster.Gap) Gap {
	out := Gap{Fault: string(g.Fault), Longest: g.Length(), Note: g.Note}
	for _, t := range g.Terms {
		out.Terms = append(out.Terms, GapTerm(t))
	}
	return out
}

// explainer walks a tree.
type explainer struct {
	under string
	gaps  [2][]Gap // of children that are not exclusive, and that are
	found []Explained
}

// children explains those of a supervisor; by is what above makes them exclusive.
func (e *explainer) children(parent, by string, strategy supervisor.Strategy, children []supervisor.ChildSpec) {
	held := strategy != supervisor.OneForOne && by == "" && slices.ContainsFunc(children, anyExclusive)
	for _, c := range children {
		path, own := parent+"/"+c.ID, by
		if own == "" && c.Exclusive {
			own = path
		}
		if c.Supervisor != nil {
			e.children(path, own, c.Supervisor.Strategy, c.Children)
			continue
		}
		if path != e.under && !strings.HasPrefix(path, e.under+"/") {
			continue
		}
		x := Explained{Path: path, Exclusive: own != "", By: own, Gaps: e.gaps[bit(own != "")]}
		switch {
		case c.RestartType == supervisor.Temporary:
			x.Note = "temporary: it is not started again"
		case own == "" && held:
			x.Note = fmt.Sprintf("%s: where exclusive siblings must end with it, it waits for them", strategy)
		}
		e.found = append(e.found, x)
	}
}

func anyExclusive(c supervisor.ChildSpec) bool {
	return c.Exclusive || slices.ContainsFunc(c.Children, anyExclusive)
}

type explainInput struct {
	Asked
	Path string `query:"path" maxLength:"8192" doc:"Path of a worker, a supervisor or a tree; all trees if empty" example:"shop/web"`
}

func (s *Server) explain(ctx context.Context, in *explainInput) (*answer[Explanation], error) {
	return look(ctx, s, in.Asked, func(p *picture) (Explanation, error) {
		all := Explanation{Profile: profileOf(s.cfg.Self.Profile), Children: []Explained{}}
		names := p.v.TreeNames()
		if in.Path != "" {
			if _, _, err := p.find(in.Path); err != nil {
				return all, err
			}
			names = []string{supervisor.TreeName(in.Path)}
		}
		for _, name := range names {
			under := name
			if in.Path != "" {
				under = in.Path
			}
			e, err := Explain(all.Profile, p.v.Tree(name).Shape(), under)
			if err != nil {
				return all, err
			}
			all.Children = append(all.Children, e.Children...)
		}
		return all, nil
	})
}

// profileOf names the profile of a node that does not say.
func profileOf(named string) string {
	if named == "" {
		return "lan"
	}
	return named
}
