package supervisor

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain has rapid try more than its 100 cases: some faults of a tree take
// several hundred to show. A failure prints its seed, and leaves no file.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "300", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
