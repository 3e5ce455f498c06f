package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is all that was measured, and on what.
type Report struct {
	Machine Machine  `json:"machine"`
	Results []Result `json:"results"`
}

func newReport(results []Result) *Report {
	return &Report{Machine: thisMachine(), Results: results}
}

// Missed counts the goals that were not met.
func (r *Report) Missed() int {
	n := 0
	for _, res := range r.Results {
		if res.Met != nil && !*res.Met {
			n++
		}
	}
	return n
}

// JSON writes everything, single samples included.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

var columns = []string{"row", "what", "unit", "floor: median", "p99", "ours: median", "p99", "worst", "ours / floor", "goal", "met", "n"}

func (r *Result) cells() []string {
	floor := []string{"", ""}
	if r.Bare != nil {
		floor = []string{number(r.Bare.Median), number(r.Bare.P99)}
	}
	return []string{
		r.Row, r.What, r.Unit, floor[0], floor[1], number(r.Ours.Median), number(r.Ours.P99), number(r.Ours.Max),
		r.ratio(), r.Goal, r.verdict(), fmt.Sprint(r.Ours.N),
	}
}

// Text writes the table for a terminal.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(columns, "\t")))
	for _, res := range r.Results {
		fmt.Fprintln(t, strings.ReplaceAll(strings.Join(res.cells(), "\t"), "**", ""))
	}
	return t.Flush()
}

// markdown is the part of the document that is made by the benchmark.
func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString(r.Machine.markdown())
	fmt.Fprintf(&b, "\n| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, res := range r.Results {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(res.cells(), " | "))
	}
	b.WriteString("\nThe floors:\n\n")
	for _, line := range r.floors() {
		b.WriteString(line)
	}
	b.WriteString(r.restartParts())
	return b.String()
}

// floors says what each floor does, those of one row together.
func (r *Report) floors() []string {
	var lines []string
	for _, res := range r.Results {
		if line := fmt.Sprintf("- (%s) %s\n", res.Row, res.Floor); res.Floor != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// restartParts divides the time of row (a) by its two floors. Each contains the
// one before, so the differences are what was added.
func (r *Report) restartParts() string {
	var loop, commit, ours *Summary
	for _, res := range r.Results {
		switch {
		case res.Row == "a" && loop == nil:
			loop, ours = res.Bare, res.Ours
		case res.Row == "a":
			commit = res.Bare // the last line of the row
		}
	}
	if commit == nil {
		return ""
	}
	return fmt.Sprintf("\nWhere the time of (a) goes, by medians, for a child on a follower: %s ms are kill, wait, fork and exec; "+
		"%s ms the request to the leader and one durable commit; %s ms all that is ours.\n",
		number(loop.Median), number(commit.Median-loop.Median), number(ours.Median-commit.Median))
}

// The generated part stands between these lines; what is around it is written
// by hand and stays.
const (
	beginMark = "<!-- begin: made by selfware-node bench -->"
	endMark   = "<!-- end: made by selfware-node bench -->"
)

// WriteMarkdown puts the table into a document, in place of the one it holds,
// or at its end if it holds none. A document that is not there is made.
func (r *Report) WriteMarkdown(path string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	text, err := splice(string(old), r.markdown())
	if err != nil {
		return fmt.Errorf("cannot write the report to %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

func splice(old, made string) (string, error) {
	made = beginMark + "\n\n" + strings.TrimSpace(made) + "\n\n" + endMark
	head, rest, has := strings.Cut(old, beginMark)
	if !has {
		return strings.TrimSpace(strings.TrimSpace(old)+"\n\n"+made) + "\n", nil
	}
	_, foot, ended := strings.Cut(rest, endMark)
	if !ended {
		return "", fmt.Errorf("it has the line %q and no %q", beginMark, endMark)
	}
	return head + made + foot, nil
}
