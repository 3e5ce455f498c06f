package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse looks for panics, for errors that are incomplete, and for specs
// that do not survive Format.
func FuzzParse(f *testing.F) {
	scripts, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(scripts) == 0 {
		f.Fatal("no scripts", err)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n\n") {
			_, file, _ := strings.Cut(part, "parse\n")
			file, _, _ = strings.Cut(file, "----")
			f.Add([]byte(file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			checkErrors(t, err)
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("the core refuses it: %v", err)
		}
		again, err := Parse("again.yaml", Format(s))
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, Format(s))
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("changed by Format:\n%+v\n%+v\n%s", s, again, Format(s))
		}
		if changes := Diff(&s, &again); len(changes) > 0 {
			t.Fatalf("differs from itself: %v", changes)
		}
	})
}
