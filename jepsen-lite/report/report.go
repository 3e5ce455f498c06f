package report

import (
	"bytes"
	"fmt"
	"html"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
)

// Names of the files.
const (
	FileTimeline  = "timeline.html"
	FileRegisters = "registers.html"
	FilePlot      = "plot.svg"
)

// drawTime bounds the search for what porcupine draws.
const drawTime = 10 * time.Second

// Write writes all of it into the folder of a run.
func Write(dir string, in *check.Input, verdicts []check.Verdict) error {
	plot := Plot(in)
	for name, data := range map[string][]byte{
		FilePlot: plot, FileTimeline: timeline(in, verdicts, plot), FileRegisters: registers(in),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	return nil
}

// registers is porcupine's picture of all registers, with the faults beside them.
func registers(in *check.Input) []byte {
	byKey, _, _ := in.Registers()
	model := check.Model()
	keys := slices.Sorted(maps.Keys(byKey))
	model.Partition = func([]porcupine.Operation) (parts [][]porcupine.Operation) {
		for _, k := range keys {
			parts = append(parts, closed(byKey[k], in.Run.Ended))
		}
		return parts
	}
	_, info := porcupine.CheckOperationsVerbose(model, nil, drawTime)
	var notes []porcupine.Annotation
	for _, f := range in.Faults {
		notes = append(notes, porcupine.Annotation{
			Tag: "faults", Start: int64(f.Start), End: int64(f.End), Description: f.Nemesis, Details: f.What,
			BackgroundColor: color(f.Nemesis),
		})
	}
	info.AddAnnotations(notes)
	var b bytes.Buffer
	if err := porcupine.Visualize(model, info, &b); err != nil {
		return []byte("<p>cannot draw: " + html.EscapeString(err.Error()))
	}
	return b.Bytes()
}

// closed gives operations without an end one that can be drawn.
func closed(ops []porcupine.Operation, end history.Time) []porcupine.Operation {
	ops = slices.Clone(ops)
	for i := range ops {
		if ops[i].Return == int64(history.Never) {
			ops[i].Return = max(int64(end), ops[i].Call+1)
		}
	}
	return ops
}

// color is one color for each kind of fault.
func color(nemesis string) string {
	sum := uint32(2166136261)
	for _, c := range []byte(nemesis) {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("hsl(%d 70%% 80%%)", sum%360)
}

const head = `<!doctype html><meta charset="utf-8"><title>jepsen-lite</title><style>
body{font:14px system-ui,sans-serif;margin:2em;max-width:1200px}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;vertical-align:top}
.bad{color:#b00020;font-weight:bold}.ok{color:#00701a}svg{width:100%;height:auto}</style>
`

// timeline is the page: verdicts, plot, faults, and the lives of every child.
func timeline(in *check.Input, verdicts []check.Verdict, plot []byte) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	fmt.Fprintf(&b, "<h1>%s</h1><p>faults %v, %s, profile %s, seed %d, nodes %v. <a href=%s>The registers</a>.\n<table>",
		html.EscapeString(in.Run.Workload), in.Run.Nemeses, in.Run.Backend, in.Run.Profile, in.Run.Seed, in.Run.Nodes, FileRegisters)
	for _, v := range verdicts {
		class, word := "ok", "valid"
		if !v.Valid {
			class, word = "bad", "not valid"
		}
		fmt.Fprintf(&b, "<tr><td>%s<td>%s<td class=%s>%s<td>", v.Checker, v.Promise, class, word)
		for _, c := range v.Counts {
			fmt.Fprintf(&b, "%s %d; ", html.EscapeString(c.Name), c.N)
		}
		for _, f := range v.Findings {
			fmt.Fprintf(&b, "<br><span class=bad>%s</span>", html.EscapeString(f))
		}
		b.WriteByte('\n')
	}
	b.WriteString("</table><h2>Requests</h2>\n")
	b.Write(plot)
	b.WriteString("<h2>Lives</h2><p>Each row is a child, each bar a life, coloured by node.\n")
	lives(&b, in)
	b.WriteString("<h2>Faults</h2><table>\n")
	for _, f := range in.Faults {
		fmt.Fprintf(&b, "<tr><td>%.1f s<td>%.1f s<td style='background:%s'>%s<td>%s<td>%v\n", seconds(in, f.Start), seconds(in, f.End),
			color(f.Nemesis), f.Nemesis, html.EscapeString(f.What), f.Evidence)
	}
	b.WriteString("</table>\n")
	return b.Bytes()
}

func seconds(in *check.Input, t history.Time) float64 { return t.Sub(in.Run.Began).Seconds() }
