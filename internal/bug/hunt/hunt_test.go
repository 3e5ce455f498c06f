package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

var planted = regexp.MustCompile(`bug\.On\("([^"]+)"\)`)

// plants lists the names in the source, each with its file.
func plants(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "internal/bug/") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range planted.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestEveryBugIsHunted: each bug in the source has a row here, and each row a bug.
func TestEveryBugIsHunted(t *testing.T) {
	found := plants(t)
	seen := make(map[string]bool)
	for _, b := range bugs {
		if found[b.name] == "" {
			t.Errorf("%s is nowhere in the source", b.name)
		}
		if seen[b.name] {
			t.Errorf("%s is listed twice", b.name)
		}
		if b.promise == "" || b.what == "" || b.pkg == "" || b.test == "" {
			t.Errorf("%s: the row is not whole", b.name)
		}
		if !tested(t, b) {
			t.Errorf("%s: %s has no %s", b.name, b.pkg, b.test)
		}
		seen[b.name] = true
	}
	for name, path := range found {
		if !seen[name] {
			t.Errorf("%s, in %s, is hunted by nobody", name, path)
		}
	}
	if len(bugs) < 24 {
		t.Errorf("%d bugs; the issue asks for 24", len(bugs))
	}
}

// tested: the bug's checker is there, its subtest by the words of its name.
func tested(t *testing.T, b bug) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, b.pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	top, sub, _ := strings.Cut(b.test, "/")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("func "+top+"(")) && bytes.Contains(text, []byte(sub)) {
			return true
		}
	}
	return false
}

// TestNoBugIsShipped: the binary as it is released holds none of the names. Built
// with the tag it holds them, so that looking for them means something.
func TestNoBugIsShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary twice")
	}
	for _, tag := range []string{"", "seeded_bugs"} {
		bin := filepath.Join(t.TempDir(), "node")
		cmd := exec.Command("go", "build", "-trimpath", "-tags", tag, "-o", bin, "./cmd/selfware-node")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		for name := range plants(t) {
			if got, want := bytes.Contains(data, []byte(name)), tag != ""; got != want {
				t.Errorf("tag %q: the binary holds %q: %v, want %v", tag, name, got, want)
			}
		}
	}
}

// TestChoose: the same seed gives the same bugs, no bug twice.
func TestChoose(t *testing.T) {
	names := func(n int, seed uint64) (list []string) {
		chosen, err := choose(n, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range chosen {
			list = append(list, b.name)
		}
		return list
	}
	a := names(3, 7)
	if b := names(3, 7); !slices.Equal(a, b) || len(a) != 3 || len(slices.Compact(slices.Sorted(slices.Values(a)))) != 3 {
		t.Errorf("%v, then %v", a, b)
	}
	if all := names(0, 1); len(all) != len(bugs) {
		t.Errorf("all: %d of %d", len(all), len(bugs))
	}
	if _, err := choose(0, 1, []string{"no-such-bug"}); err == nil {
		t.Error("an unknown name is taken")
	}
}

// TestVerdict: a bug that escapes fails the hunt, and so does a checker that fails
// without one. A failure on the way to the checker is no catch.
func TestVerdict(t *testing.T) {
	b := bug{name: "x", test: "TestA/b"}
	if b.pattern() != "^TestA$/^b$" || !b.blamed("--- FAIL: TestA (0.00s)") || b.blamed("panic: out of memory") {
		t.Errorf("pattern %s", b.pattern())
	}
	for want, results := range map[int][]result{
		0: {{bug: b, caught: true}}, 1: {{bug: b, caught: true}, {bug: b}}, 2: {{bug: b, err: os.ErrNotExist}},
	} {
		if got := verdict(results); got != want {
			t.Errorf("%+v: %d, want %d", results, got, want)
		}
	}
	if text := table([]result{{bug: b}}); !strings.Contains(text, "**not caught**") {
		t.Errorf("the table hides an escape:\n%s", text)
	}
}

// TestWrite: the table takes the place of the former one, and of nothing else.
func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("before\n" + tableBegins + "old\n" + tableEnds + "after\n")
	for range 2 {
		if err := write(file, []result{{bug: bug{name: "x"}, caught: true}}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if s := string(text); err != nil || !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "after\n") ||
		strings.Contains(s, "old") || strings.Count(s, "| x |") != 1 {
		t.Errorf("%v:\n%s", err, text)
	}
	put("before\n" + tableBegins)
	if err := write(file, nil); err == nil {
		t.Error("a file without a place for it was written")
	}
}
