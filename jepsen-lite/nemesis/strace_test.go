package nemesis

import "testing"

// TestStraceLines: lines as strace 6.1 writes them.
func TestStraceLines(t *testing.T) {
	tests := []struct {
		line    string
		delayed bool
		want    bool
	}{
		{"[pid 42] fdatasync(7)                = -1 EIO (Input/output error) (INJECTED)", false, true},
		{"[pid 42] fdatasync(7)                = 0", false, false},
		{"[pid 42] <... fdatasync resumed>)    = -1 EIO (Input/output error) (INJECTED)", false, true},
		{"[pid 42] fdatasync(7)                = 0 (DELAYED)", true, true},
		{"[pid 42] fdatasync(7 <unfinished ...>", true, true},
		{"[pid 42] <... fdatasync resumed>)    = 0 (DELAYED)", true, false}, // counted when it began
		{"[pid 42] <... fdatasync resumed>)    = ?", true, false},
	}
	for _, tt := range tests {
		if got := done(tt.line, []string{"fsync", "fdatasync"}, tt.delayed); got != tt.want {
			t.Errorf("%q, delayed %v: got %v", tt.line, tt.delayed, got)
		}
	}
}
