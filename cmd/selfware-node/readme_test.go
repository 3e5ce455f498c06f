package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReadme: what the README shows of commands that need no node is what they print.
// It leaves lines out (…) and cuts long ones (a … at the end).
func TestReadme(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for block := range strings.SplitSeq(string(text), "```") {
		line, quoted, _ := strings.Cut(strings.TrimPrefix(block, "console\n"), "\n")
		args, ok := strings.CutPrefix(line, "$ selfware-node ")
		if !ok || !strings.HasPrefix(args, "policy ") && !strings.HasPrefix(args, "simulate ") {
			continue
		}
		shown++
		r := runBinary(t, root, "", strings.Fields(args)...)
		if r.code != 0 {
			t.Fatalf("%s: exit code %d, %s", args, r.code, r.err)
		}
		printed := strings.Split(r.out, "\n")
		for want := range strings.Lines(quoted) {
			want = strings.TrimRight(want, "\n")
			start := strings.TrimSuffix(want, "…")
			if !slices.ContainsFunc(printed, func(l string) bool { return l == want || start != want && strings.HasPrefix(l, start) }) {
				t.Errorf("%s prints no line %q", args, want)
			}
		}
	}
	if shown != 2 {
		t.Errorf("the README shows %d such commands, want 2", shown)
	}
}
