package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
)

func made() *check.Input {
	s := history.Time(time.Second)
	in := &check.Input{
		Run:    history.Run{Workload: "<made>", Nodes: []string{"n1", "n2"}, Began: 0, Ended: 20 * s},
		Faults: []history.Fault{{Nemesis: "kill-node", What: "n1 & n2 killed", Start: 5 * s, End: 9 * s}},
		Beats: []history.Beat{
			{Type: history.Born, Life: 1, Child: "w/a", Node: "n1", Time: s}, {Type: history.Here, Life: 1, Time: 4 * s},
		},
	}
	for i := range history.Time(10) {
		for j, kind := range []history.OpType{history.Invoke, history.OK} {
			in.Ops = append(in.Ops, history.Op{
				Time: i*s + history.Time(j)*s/1000, Type: kind, ID: string(rune('a' + i)), Kind: history.Write, Key: "reg-0", Value: "7",
			})
		}
	}
	in.Ops = append(in.Ops, history.Op{Time: 11 * s, Type: history.Invoke, ID: "open", Kind: history.Write, Key: "reg-0", Value: "8"})
	return in
}

// The plot is well-formed, and has a band for the fault and a dot for each answer.
func TestPlot(t *testing.T) {
	plot := string(Plot(made()))
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
	}
	if n := strings.Count(plot, "<circle"); n != 10 || !strings.Contains(plot, "n1 &amp; n2 killed") {
		t.Errorf("%d dots in\n%s", n, plot)
	}
}

func TestDecades(t *testing.T) {
	for d, want := range map[time.Duration]float64{20 * time.Second: 0, 10 * time.Second: 0, time.Second: 1, 10 * time.Millisecond: 3, time.Microsecond: 4} {
		if got := decades(d); got < want-.01 || got > want+.01 {
			t.Errorf("%v is at %.2f, want %.2f", d, got, want)
		}
	}
}

// All three files are written, and what a run was called cannot break the page.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	verdicts := []check.Verdict{{Checker: "overlap", Findings: []string{"<b>"}}}
	if err := Write(dir, made(), verdicts); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{FileTimeline: "&lt;b&gt;", FileRegisters: "kill-node", FilePlot: "<svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, no %q", name, err, want)
		}
	}
	page, _ := os.ReadFile(filepath.Join(dir, FileTimeline))
	if strings.Contains(string(page), "<made>") {
		t.Error("a name became a tag")
	}
}
