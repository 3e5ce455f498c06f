package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuntimeIsAsExpected: all places are found in the installed Go, and the changed
// runtime compiles.
func TestRuntimeIsAsExpected(t *testing.T) {
	dir := t.TempDir()
	overlay, err := writeOverlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patches {
		text, err := os.ReadFile(filepath.Join(dir, p.file))
		if err != nil || !strings.Contains(string(text), p.new) {
			t.Errorf("%s lacks %q (%v)", p.file, p.new, err)
		}
	}
	if testing.Short() {
		return
	}
	out, err := exec.Command("go", "build", "-overlay", overlay, "runtime").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAnotherGoIsRefused: a place that moved is named.
func TestAnotherGoIsRefused(t *testing.T) {
	err := patch{"rand.go", "not in any release", ""}.apply("", map[string]string{"rand.go": "package runtime"})
	if err == nil || !strings.Contains(err.Error(), "not in any release") {
		t.Errorf("got %v", err)
	}
}

// TestDifferencesAreCounted: runs are compared by their trace, their schedule, and
// whether they failed.
func TestDifferencesAreCounted(t *testing.T) {
	t.Chdir("../../..")
	for script, want := range map[string]tally{
		`echo "schedule 1 of 2 steps" >&2; echo "trace 0123456789abcdef after 1s"`:  {3, 0, 0},
		`echo "schedule 1 of 2 steps" >&2; exit 1`:                                  {3, 0, 3},
		`echo "schedule $$ of 2 steps" >&2; echo "trace 0123456789abcdef after 1s"`: {3, 2, 0},
		`echo "schedule 1 of 2 steps" >&2; printf 'trace %016x\n' $$`:               {3, 2, 0},
	} {
		binary := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(binary, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		var got tally
		var log bytes.Buffer
		err := options{runs: 3}.again(binary, 7, &got, &log)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v\n%s", script, got, err, log.String())
		}
	}
}

// TestARunWithoutAnEndIsNoResult: it crashed, or was not built on the changed runtime.
func TestARunWithoutAnEndIsNoResult(t *testing.T) {
	if r, ok := readResult([]byte("trace 0123456789abcdef after 1s"), []byte("panic: x")); ok {
		t.Errorf("got %v", r)
	}
}
