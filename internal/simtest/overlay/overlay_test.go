package main

import (
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
