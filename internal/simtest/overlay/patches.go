package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// patch replaces the one place in a file of package runtime.
type patch struct{ file, old, new string }

// addition is a file that the changed runtime has besides; what the patches call is in it.
//
//go:embed replay.go.txt
var addition string

var patches = []patch{
	{"proc.go", "\n\tgoenvs()\n", "\n\tgoenvs()\n\treplayInit()\n"},

	// Chance: the seeds of hashes and the heap's base are the same in each process; what
	// a bubble draws comes from the seed.
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

	// Real time: no mutex becomes impatient; no monitor preempts, nor takes the
	// processor from who is in a system call; no scavenger wakes up.
	{"sema.go", "func internal_sync_nanotime() int64 {\n", "func internal_sync_nanotime() int64 {\n\tif replaying() {\n\t\treturn 1\n\t}\n"},
	{"proc.go", "\tif haveSysmon {\n\t\tsystemstack(", "\tif haveSysmon && !replayOn {\n\t\tsystemstack("},
	{"mgcscavenge.go", "\tc <- 1\n\tscavenger.park()\n", "\tc <- 1\n\tif replayOn {\n\t\treturn\n\t}\n\tscavenger.park()\n"},

	// One thread. The main goroutine is not tied to the first while packages initialize:
	// whether a third were needed beside the second would depend on which was faster. A
	// thread's records are on the heap, so from then on all addresses would differ, and
	// with them the order of maps whose keys are pointers.
	{"proc.go", "\tlockOSThread()\n\n\tif mp != &m0 {", "\tif !replayOn {\n\t\tlockOSThread()\n\t}\n\n\tif mp != &m0 {"},
	{"proc.go", "\tneedUnlock := true\n", "\tneedUnlock := !replayOn\n"},
	{"proc.go", "\tneedUnlock = false\n\tunlockOSThread()\n", "\tif needUnlock {\n\t\tneedUnlock = false\n\t\tunlockOSThread()\n\t}\n"},

	// Garbage is collected between two instants of a bubble.
	{"synctest.go", "\tfor {\n\t\tunlock(&bubble.mu)\n", "\tfor {\n\t\tunlock(&bubble.mu)\n\t\treplayCollect()\n"},

	// What is compared.
	{"proc.go", "\texecute(gp, inheritTime)\n}\n", "\treplayStep(gp)\n\texecute(gp, inheritTime)\n}\n"},
	{"proc.go", "func os_beforeExit(exitCode int) {\n", "func os_beforeExit(exitCode int) {\n\treplayReport()\n"},
}

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
	texts["selfware_replay.go"] = addition
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
