package function

import (
	"context"
	"fmt"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

func nothing(context.Context, Life) error { return nil }

// TestRegistryRefuses: names are unique and can be written in a tree file.
func TestRegistryRefuses(t *testing.T) {
	var r Registry
	if err := r.Register("a", nothing); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Func{"a": nothing, "": nothing, "a b": nothing, "b": nil} {
		if err := r.Register(name, f); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	labels := r.Labels(map[string]string{"zone": "z"})
	if len(labels) != 3 || labels["func:a"] != "yes" || labels["zone"] != "z" || labels[supervisor.EmbeddedLabel] != "yes" {
		t.Errorf("labels %v", labels)
	}
}

// TestLimitOfFunctions: each is a label of the node, so there is a limit.
func TestLimitOfFunctions(t *testing.T) {
	var r Registry
	for i := range MaxFuncs {
		if err := r.Register(fmt.Sprint("f", i), nothing); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Register("one.more", nothing); err == nil {
		t.Error("there is no limit")
	}
}
