package fsm

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain: a failing property prints its seed, and leaves no file.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}
