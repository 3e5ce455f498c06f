package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// TagNone is the tag of a tree that is not there.
const TagNone = "none"

// Tag tells a spec from others: two with equal tags are equal.
func Tag(spec supervisor.Spec) string {
	data, err := encMode.Marshal(spec)
	if err != nil {
		panic(err) // it came out of an entry, or a file that fits into one
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// expect refuses a request about a tree that is not as it must be: somebody else
// has changed it since the request's author looked (compare-and-set).
func (s *state) expect(name, tag string) error {
	now := TagNone
	if t := s.trees[name]; tag != "" && t != nil {
		now = Tag(t.Spec())
	}
	switch {
	case tag == "" || tag == now || bug.On("condition-ignored"):
		return nil
	case now == TagNone:
		return fmt.Errorf("%w: there is no tree %q", ErrChanged, name)
	case tag == TagNone:
		return fmt.Errorf("%w: there is a tree %q, its tag is %s", ErrChanged, name, now)
	}
	return fmt.Errorf("%w: the tag of tree %q is %s, not %s: it was changed", ErrChanged, name, now, tag)
}

// applyTree makes a tree, or edits the one of that name.
func (s *state) applyTree(c *Command) Result {
	spec, by := c.Tree, c.By
	if err := s.expect(spec.Name, c.If); err != nil {
		return Result{Err: err}
	}
	var members []supervisor.Member
	if spec.EachNode() {
		members = s.members()
	}
	if n := s.others(spec.Name) + spec.SizeOn(len(members)); n > MaxLives {
		return Result{Err: fmt.Errorf("%w: the cluster would have %d children, the limit is %d", supervisor.ErrRefused, n, MaxLives)}
	}
	if err := s.circle(spec); err != nil {
		return Result{Err: err}
	}
	if t := s.trees[spec.Name]; t != nil {
		after := t.Spec().After
		ds, err := s.step(t, supervisor.Edit{Spec: *spec, By: by, Members: members})
		if err == nil && !slices.Equal(after, spec.After) {
			s.regraph()
		}
		if err == nil {
			s.record(Record{Kind: KindTree, Sentence: fmt.Sprintf("tree %s was applied (by %s)", spec.Name, by)})
		}
		return Result{Err: err, Decisions: ds}
	}
	if len(s.trees) >= MaxTrees {
		return Result{Err: fmt.Errorf("%w: there are %d trees, the limit", supervisor.ErrRefused, MaxTrees)}
	}
	t, err := supervisor.NewTreeOn(*spec, members)
	if err != nil {
		return Result{Err: fmt.Errorf("%w: %v", supervisor.ErrRefused, err)}
	}
	s.trees[spec.Name] = t
	if len(spec.After) > 0 {
		s.regraph()
	}
	s.record(Record{Kind: KindTree, Sentence: fmt.Sprintf("tree %s is new (by %s)", spec.Name, by)})
	ds, err := s.step(t, supervisor.Start{Path: spec.Name})
	return Result{Err: err, Decisions: ds}
}

// others counts the children of all trees but for those that an edit of the named
// one replaces.
func (s *state) others(name string) (n int) {
	for _, t := range s.trees { // order-free: a sum
		_, leaving := t.Size()
		if n += leaving; t.Name() != name {
			n += t.Most()
		}
	}
	return n
}

func (s *state) deleteTree(c *Command) Result {
	t := s.trees[c.Name]
	if t == nil {
		return Result{Err: fmt.Errorf("%w: %q", ErrUnknownTree, c.Name)}
	}
	if err := s.expect(c.Name, c.If); err != nil {
		return Result{Err: err}
	}
	ds, err := s.step(t, supervisor.Delete{By: c.By})
	return Result{Err: err, Decisions: ds}
}

func (s *state) verb(v *Verb, by string) Result {
	t := s.trees[supervisor.TreeName(v.Path)]
	if t == nil {
		return Result{Err: fmt.Errorf("%w: %q", ErrUnknownTree, supervisor.TreeName(v.Path))}
	}
	in, err := s.input(v, by)
	if err != nil {
		return Result{Err: err}
	}
	ds, err := s.step(t, in)
	return Result{Err: err, Decisions: ds}
}

// Verbs about the rollout of a tree: the leader's, and how those of an operator begin
// (supervisor.RolloutVerb follows).
const (
	VerbAdvance = "advance"
	VerbRollout = "rollout-"
)

// scale gives a pool another size. The limit of lives was kept when its tree was
// applied, for which a pool counts as many as it may have.
func (s *state) scale(in *Scale, by string) Result {
	t := s.trees[supervisor.TreeName(in.Path)]
	if t == nil {
		return Result{Err: fmt.Errorf("%w: %q", ErrUnknownTree, supervisor.TreeName(in.Path))}
	}
	ds, err := s.step(t, supervisor.Scale{Path: in.Path, Size: in.Size, By: by})
	return Result{Err: err, Decisions: ds}
}

func (s *state) input(v *Verb, by string) (supervisor.Input, error) {
	switch v.Verb {
	case "start":
		return supervisor.Start{Path: v.Path, By: by}, nil
	case "stop":
		return supervisor.Stop{Path: v.Path, By: by}, nil
	case "restart":
		return supervisor.Restart{Path: v.Path, By: by}, nil
	case "move":
		return s.move(v, by)
	case "pause":
		return supervisor.Pause{Path: v.Path, By: by, Why: v.Why}, nil
	case "resume":
		return supervisor.Resume{Path: v.Path, By: by, Why: v.Why, Draining: s.draining()}, nil
	case "reset":
		return supervisor.Reset{Path: v.Path, By: by, Why: v.Why}, nil
	case VerbAdvance:
		return supervisor.Advance{}, nil
	}
	if word, ok := strings.CutPrefix(v.Verb, VerbRollout); ok {
		return supervisor.Rollout{Path: v.Path, Verb: supervisor.RolloutVerb(word), By: by}, nil
	}
	return nil, fmt.Errorf("%w: unknown verb %q", supervisor.ErrRefused, v.Verb)
}

func (s *state) move(v *Verb, by string) (supervisor.Input, error) {
	if v.To == "" {
		return supervisor.Move{Path: v.Path, By: by}, nil
	}
	n, err := s.findNode(v.To)
	switch {
	case err != nil:
		return nil, err
	case n.State != NodeAlive:
		return nil, fmt.Errorf("%w: node %s is %s", supervisor.ErrRefused, n.Name, n.State)
	case n.Draining:
		return nil, fmt.Errorf("%w: node %s is draining", supervisor.ErrRefused, n.Name)
	}
	return supervisor.Move{Path: v.Path, To: n.ID, By: by}, nil
}

// draining lists the nodes that are being drained, by id.
func (s *state) draining() (ids []string) {
	for _, id := range s.nodeIDs() {
		if s.nodes[id].Draining {
			ids = append(ids, id)
		}
	}
	return ids
}
