package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// patch replaces the one place in a file of package runtime.
type patch struct{ file, old, new string }

// seedVariable is what the changed runtime reads its seed from.
const seedVariable = "SELFWARE_REPLAY"

var patches = []patch{
	{"rand.go", "\tglobalRand.state.Init(*seed)\n", `	for i := range seed {
		seed[i] = byte(i + 1)
	}
	globalRand.state.Init(*seed)
`},
	{"rand.go", "func bootstrapRandReseed() {\n", "func bootstrapRandReseed() {\n\tif true {\n\t\treturn\n\t}\n"},
	{"rand.go", "func rand() uint64 {\n", "func rand() uint64 {\n\tif replaying() {\n\t\treturn replayNext()\n\t}\n"},
	{"select.go", "j := cheaprandn(uint32(norder + 1))", "j := replayRand() % uint32(norder+1)"},
	{"time.go", "t.rand = cheaprand()", "t.rand = replayRand()"},
	{"sema.go", "s.ticket = cheaprand() | 1", "s.ticket = replayRand() | 1"},
	{"sema.go", "func internal_sync_nanotime() int64 {\n", "func internal_sync_nanotime() int64 {\n\tif replaying() {\n\t\treturn 1\n\t}\n"},
	{"proc.go", "const forcePreemptNS = 10 * 1000 * 1000", "const forcePreemptNS = 1 << 60"},
	{"proc.go", "\n\tgoenvs()\n", "\n\tgoenvs()\n\treplayInit()\n"},
}

// generator is what all of these draw from: splitmix64, for goroutines of a bubble.
const generator = `
var (
	replayOn    bool
	replayState uint64
)

func replayInit() {
	text := gogetenv("` + seedVariable + `")
	for i := 0; i < len(text); i++ {
		replayState = replayState*10 + uint64(text[i]-'0')
	}
	replayOn = len(text) > 0
}

//go:nosplit
func replaying() bool { return replayOn && getg().bubble != nil }

//go:nosplit
func replayNext() uint64 {
	replayState += 0x9e3779b97f4a7c15
	z := replayState
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

//go:nosplit
func replayRand() uint32 {
	if replaying() {
		return uint32(replayNext() >> 32)
	}
	return cheaprand()
}
`

// writeOverlay makes the changed files in dir and gives the file for go build -overlay.
func writeOverlay(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find Go's own source: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "runtime")
	texts := make(map[string]string)
	for _, p := range patches {
		if err := p.apply(source, texts); err != nil {
			return "", err
		}
	}
	texts["rand.go"] += generator
	replace := make(map[string]string)
	for file, text := range texts {
		changed := filepath.Join(dir, file)
		if err := os.WriteFile(changed, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(source, file)] = changed
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o644)
}

// apply changes the text of the patch's file, which is read on first use.
func (p patch) apply(source string, texts map[string]string) error {
	text, known := texts[p.file]
	if !known {
		data, err := os.ReadFile(filepath.Join(source, p.file))
		if err != nil {
			return fmt.Errorf("cannot read Go's own source: %w", err)
		}
		text = string(data)
	}
	if n := strings.Count(text, p.old); n != 1 {
		return fmt.Errorf("cannot make the runtime repeatable: %s of this Go release has %q %d times, not once", p.file, p.old, n)
	}
	texts[p.file] = strings.Replace(text, p.old, p.new, 1)
	return nil
}
