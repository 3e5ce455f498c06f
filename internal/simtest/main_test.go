package simtest

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets garbage be: bubbles make much of it, and a simulation has memory.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}
