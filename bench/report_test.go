package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sampleReport() *Report {
	r := &Report{Machine: Machine{CPU: "A processor", Cores: 2, Kernel: "Linux 6.1", Go: "go1.26", Date: "2026-11-23", Load: "1.50"}}
	for _, res := range []Result{
		{Row: "a", What: "crash", Unit: "ms", Floor: "a loop", Bare: summarize([]float64{1, 1, 1}), Ours: summarize([]float64{3, 3, 9}), goal: goal{stat: byMedian, times: 4}},
		{Row: "a", What: "same", Unit: "ms", Floor: "a commit", Bare: summarize([]float64{2.5}), Ours: summarize([]float64{3})},
		{Row: "c", What: "silence", Unit: "ms", Ours: summarize([]float64{5000}), goal: goal{stat: byP99, most: 4000}},
		{Row: "f", What: "memory", Unit: "MiB", Ours: summarize([]float64{30})},
	} {
		res.judge()
		r.Results = append(r.Results, res)
	}
	return r
}

func TestMarkdown(t *testing.T) {
	got := sampleReport().markdown()
	for _, want := range []string{
		"A processor, 2 cores, Linux 6.1, go1.26, 2026-11-23; load of the last minute 1.50.",
		"| row | what | unit | floor: median | p99 | ours: median | p99 | worst | ours / floor | goal | met | n |\n|---|---|",
		"| a | crash | ms | 1 | 1 | 3 | 9 | 9 | 3× | median ≤ 4 × floor | yes | 3 |\n",
		"| c | silence | ms |  |  | 5000 | 5000 | 5000 |  | p99 ≤ 4000 ms | **no** | 1 |\n",
		"| f | memory | MiB |  |  | 30 | 30 | 30 |  |  |  | 1 |\n",
		"- (a) a loop\n- (a) a commit\n",
		"for a child on a follower: 1 ms are kill, wait, fork and exec; 1.5 ms the request to the leader and one durable commit; 0.5 ms all",
		"Profile fast: raft heartbeat and election 150ms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := sampleReport().Missed(); n != 1 {
		t.Errorf("%d goals missed, want 1", n)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().Text(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "ROW  WHAT") || strings.Contains(b.String(), "**") {
		t.Errorf("the table is\n%s", b.String())
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	a, c, f := back.Results[0], back.Results[2], back.Results[3]
	if len(a.Ours.All) != 3 || a.Met == nil || !*a.Met || c.Met == nil || *c.Met || f.Met != nil || f.Bare != nil {
		t.Errorf("JSON lost something:\n%s", b.String())
	}
}

func TestSplice(t *testing.T) {
	first, err := splice("# Title\n\nBy hand.\n", "one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := splice(first+"\nAfter.\n", "two")
	if err != nil {
		t.Fatal(err)
	}
	want := "# Title\n\nBy hand.\n\n" + beginMark + "\n\ntwo\n\n" + endMark + "\n\nAfter.\n"
	if second != want {
		t.Errorf("got\n%s\nwant\n%s", second, want)
	}
	if alone, err := splice("", "x"); err != nil || alone != beginMark+"\n\nx\n\n"+endMark+"\n" {
		t.Errorf("a new document: %q, %v", alone, err)
	}
	if _, err := splice("text "+beginMark+" text", "x"); err == nil {
		t.Error("a document without an end mark was overwritten")
	}
}

func TestWriteMarkdown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.md")
	for range 2 { // the second replaces the first
		if err := sampleReport().WriteMarkdown(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "| a | crash |") != 1 {
		t.Errorf("%v\n%s", err, text)
	}
	if err := sampleReport().WriteMarkdown(filepath.Join(path, "x")); err == nil {
		t.Error("no error for a path that cannot be")
	}
}
