package spec

import (
	"os"
	"path/filepath"
	"testing"
)

// TestExamples reads every example tree, and as Format writes it.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(name, data)
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := Parse("formatted "+name, Format(s))
		if err != nil {
			t.Error(err)
		}
		if changes := Diff(&s, &again); len(changes) > 0 {
			t.Errorf("%s is changed by Format: %v", name, changes)
		}
	}
}

// TestExampleWords pins the one word that is easily lost: --save "".
func TestExampleWords(t *testing.T) {
	data, err := os.ReadFile("../examples/redis.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("redis.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	argv := s.Children[0].Program.Argv
	if len(argv) != 9 || argv[5] != "--save" || argv[6] != "" {
		t.Errorf("argv is %q", argv)
	}
}
