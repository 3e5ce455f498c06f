package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/spec"
)

// TestFiles: what is applied is accepted, and holds the children that checkers
// are told to expect.
func TestFiles(t *testing.T) {
	for _, w := range Workloads() {
		expected := make(map[string]bool)
		for _, c := range w.Expect() {
			expected[c.Path] = true
		}
		for _, tree := range w.Trees {
			s, err := spec.Parse(tree.Name+".yaml", []byte(tree.File("/w/witness", "/w/tester")))
			if err != nil {
				t.Fatalf("%s: %v", w.Name, err)
			}
			if s.Exclusive != tree.Exclusive {
				t.Errorf("%s/%s: exclusive %v", w.Name, tree.Name, s.Exclusive)
			}
			for _, c := range s.Children {
				if path := s.Name + "/" + c.ID; !expected[path] {
					t.Errorf("%s: nobody expects %s", w.Name, path)
				} else if delete(expected, path); c.Program.Argv[0] != "/w/witness" {
					t.Errorf("%s runs %q", path, c.Program.Argv)
				}
			}
		}
		if len(expected) > 0 {
			t.Errorf("%s: no file has %v", w.Name, expected)
		}
		if got, ok := Find(w.Name); !ok || got.Line != w.Line {
			t.Errorf("%s is not found", w.Name)
		}
	}
	if _, ok := Find("nonsense"); ok {
		t.Error("nonsense is found")
	}
}

// A register's value goes into a file and comes back as it was.
func TestValues(t *testing.T) {
	for _, value := range []string{"1", "59", "60", "3601", "99999"} {
		s, err := spec.Parse("reg-1.yaml", []byte(waiting("reg-1", value)))
		if err != nil {
			t.Fatal(err)
		}
		text := spec.Format(s)
		if got, err := valueOf(string(text), nil); err != nil || got != value {
			t.Errorf("%s comes back as %q, %v from\n%s", value, got, err, text)
		}
		if tag, err := tagOf("reg-1", value); err != nil || tag != fsm.Tag(s) {
			t.Errorf("the tag of %s is %s, %v", value, tag, err)
		}
	}
	if got, err := valueOf("", &api.Problem{Code: api.CodeNotFound}); got != "" || err != nil {
		t.Errorf("no tree is %q, %v", got, err)
	}
	if _, err := valueOf("nonsense", nil); err == nil {
		t.Error("nonsense has a value")
	}
}

// TestOutcomes: fail is only what surely was not done.
func TestOutcomes(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		kind history.Kind
		err  error
		want history.OpType
	}{
		{history.Write, nil, history.OK},
		{history.Write, &api.Problem{Code: api.CodeNoLeader}, history.Fail},
		{history.Write, &api.Problem{Code: api.CodeBusy}, history.Fail},
		{history.Write, &api.Problem{Code: api.CodeUncertain}, history.Info},
		{history.Write, &api.Problem{Code: api.CodeInternal}, history.Info},
		{history.Write, fmt.Errorf("cannot reach the node: %w", dial), history.Fail},
		{history.Write, &net.OpError{Op: "read", Err: errors.New("reset")}, history.Info},
		{history.Swap, &api.Problem{Code: api.CodeConflict, Status: 412}, history.Fail},
		{history.Delete, context.DeadlineExceeded, history.Info},
		{history.Read, context.DeadlineExceeded, history.Fail},
	} {
		if got, _ := outcome(tt.kind, tt.err); got != tt.want {
			t.Errorf("%s with %v is %s, want %s", tt.kind, tt.err, got, tt.want)
		}
	}
}

// TestDraw: all kinds of the mix come, with the keys they need, and a register
// sees no more than the search can bear.
func TestDraw(t *testing.T) {
	w, _ := Find("storm")
	c := NewClients(w, nil, 1, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	kinds, refused := make(map[history.Kind]int), 0
	for range 40_000 {
		op, ok := c.draw(rng)
		if !ok {
			refused++
			continue
		}
		kinds[op.Kind]++
		switch op.Kind {
		case history.Stop, history.Start:
			if !strings.HasPrefix(op.Key, "toggled/") {
				t.Fatalf("%+v", op)
			}
		default:
			if !strings.HasPrefix(op.Key, "reg-") {
				t.Fatalf("%+v", op)
			}
		}
	}
	if len(kinds) != len(w.Mix) || kinds[history.Write]+kinds[history.Read] > registers*perRegister || refused == 0 {
		t.Errorf("%v, %d refused", kinds, refused)
	}
}
