package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/nemesis"
)

// What a matrix leaves behind: the same in both, for programs and for people.
const (
	fileMatrix = "matrix.json"
	fileTable  = "matrix.md"
)

// cellTime bounds what a cell takes beside its faults: a start of up to 90 s, as
// much for a recovery that does not come, and the reading of disks.
const cellTime = 4 * time.Minute

// matrix is what was asked for.
type matrix struct {
	works, nemeses           []string
	length, limit            time.Duration
	seed                     uint64
	backend, profile, binary string
	dir                      string
}

// cell is one run of the matrix, and what came of it.
type cell struct {
	Workload string        `json:"workload"`
	Nemesis  string        `json:"nemesis"`
	Seed     uint64        `json:"seed"`
	Valid    bool          `json:"valid"`
	Error    string        `json:"error,omitempty"` // why it could not be tested
	Took     time.Duration `json:"took"`
	Faults   int64         `json:"faults"`
	// NotValid are the checkers that found something.
	NotValid []string `json:"not_valid,omitempty"`
	// Recovery is how long children that must run were away, by fault.
	Recovery []check.Recovery `json:"recovery"`
	// Overlap is the longest time for which two lives of an exclusive child ran, and
	// Thaw the longest that a freeze excuses; -1 if the workload has none.
	Overlap time.Duration `json:"overlap"`
	Thaw    time.Duration `json:"thaw"`
}

// matrixCommand runs every workload that is asked for under every nemesis, and
// writes the table of verdicts.
func matrixCommand(ctx context.Context, args []string) (bool, error) {
	m, err := parseMatrix(args)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return false, fmt.Errorf("cannot put anything into %s: %w", m.dir, err)
	}
	if m.binary == "" {
		m.binary = filepath.Join(m.dir, "selfware-node")
		if err := lab.Build(ctx, m.binary, ""); err != nil {
			return false, err
		}
	}
	cells := m.cells()
	if err := m.mark(os.Stderr, cells); err != nil {
		return false, err
	}
	fmt.Fprintf(os.Stderr, "%d cells, each about %v\n", len(cells), m.length+30*time.Second)
	end := time.Now().Add(m.limit)
	for i := range cells {
		switch c := &cells[i]; {
		case c.Error != "": // known before
		case m.limit > 0 && time.Now().After(end):
			c.Error = "not run: the time is over"
		default:
			m.run(ctx, c)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		// What is there stays, should the next cell be the last.
		if err := write(m.dir, cells[:i+1]); err != nil {
			return false, err
		}
	}
	return verdictOf(os.Stdout, cells)
}

// parseMatrix reads what is asked for, and refuses now what would fail hours later.
func parseMatrix(args []string) (m matrix, err error) {
	flags := flag.NewFlagSet("jepsen-lite matrix", flag.ContinueOnError)
	works := flags.String("workload", "exclusive", "`NAMES` of workloads, with commas between; all are all")
	only := flags.String("nemesis", "all", "`NAMES` of faults, as of run; all are all that can be done here")
	flags.DurationVar(&m.length, "time", 20*time.Second, "how long faults may come in each cell")
	flags.DurationVar(&m.limit, "limit", 0, "begin no cell later than this (default: none)")
	flags.Uint64Var(&m.seed, "seed", 1, "seed of the first cell; each next one has the next")
	flags.StringVar(&m.backend, "backend", "netns", "netns, loopback or compose")
	flags.StringVar(&m.profile, "profile", "lan", "profile of the nodes")
	flags.StringVar(&m.binary, "binary", "", "`PATH` of the selfware-node to test (default: it is built; for clock-* always, from the module one stands in)")
	flags.StringVar(&m.dir, "dir", "", "`FOLDER` for what is found, a folder per cell")
	switch err := flags.Parse(args); {
	case err != nil:
		return m, err
	case flags.NArg() > 0:
		return m, fmt.Errorf("%q is no flag", flags.Arg(0))
	case m.dir == "":
		return m, errors.New("say with --dir where to put what is found")
	}
	if m.works = strings.Split(*works, ","); *works == "all" {
		m.works = workloadNames()
	}
	if m.nemeses = strings.Split(*only, ","); *only == "all" {
		if m.nemeses, err = doable(m.backend); err != nil {
			return m, err
		}
	}
	for _, c := range m.cells() {
		if _, err := parse(m.args(c)); err != nil {
			return m, err
		}
	}
	return m, nil
}

// cells are all of them, in order.
func (m matrix) cells() (all []cell) {
	for _, work := range m.works {
		for _, name := range m.nemeses {
			all = append(all, cell{Workload: work, Nemesis: name, Seed: m.seed + uint64(len(all)), Overlap: -1, Thaw: -1})
		}
	}
	return all
}

// mark finds the cells that cannot be tested here, and tells of them before hours go
// by with the others.
func (m matrix) mark(w io.Writer, cells []cell) error {
	for i := range cells {
		c := &cells[i]
		o, err := parse(m.args(*c))
		if err != nil {
			return err
		}
		if err := o.buildable(); err != nil {
			c.Error = err.Error()
			fmt.Fprintf(w, "%s under %s will not be tested: %v\n", c.Workload, c.Nemesis, err)
		}
	}
	return nil
}

// args are the flags of a cell's run.
func (m matrix) args(c cell) []string {
	return []string{
		"--workload", c.Workload, "--nemesis", c.Nemesis, "--time", m.length.String(), "--seed", fmt.Sprint(c.Seed),
		"--backend", m.backend, "--profile", m.profile, "--binary", m.binary, "--dir", filepath.Join(m.dir, c.Workload+"-"+c.Nemesis),
	}
}

// run does the run of a cell.
func (m matrix) run(ctx context.Context, c *cell) {
	ctx, cancel := context.WithTimeout(ctx, m.length+cellTime)
	defer cancel()
	began := time.Now()
	_, err := runCommand(ctx, m.args(*c))
	c.Took, c.Error = time.Since(began).Round(time.Second), ""
	var r results
	if err == nil {
		r, err = history.LoadOne[results](filepath.Join(m.dir, c.Workload+"-"+c.Nemesis), fileResults)
	}
	if err != nil {
		c.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		return
	}
	c.take(r)
}

// take takes from a run's results what the matrix tells.
func (c *cell) take(r results) {
	c.Valid, c.Recovery = r.Valid, r.Recovery
	for _, v := range r.Checkers {
		switch v.Checker {
		case "evidence":
			c.Faults = v.Get("faults")
		case "overlap":
			c.Overlap = time.Duration(v.Get("longest overlap, µs")) * time.Microsecond
			c.Thaw = time.Duration(v.Get("longest after a freeze, µs")) * time.Microsecond
		}
		if !v.Valid {
			c.NotValid = append(c.NotValid, v.Checker)
		}
	}
}

// doable are the names of nemeses that a back-end can do here.
func doable(backend string) ([]string, error) {
	dir, err := os.MkdirTemp("", "jepsen-lite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := lab.New(lab.Config{Backend: backend, Dir: dir, Clocks: true, PowerCuts: true})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var names []string
	for _, n := range nemesis.List() {
		if l.Can().Has(n.Needs()) {
			names = append(names, n.Name())
		}
	}
	return names, nil
}

// write writes the cells so far, as values and as a table.
func write(dir string, cells []cell) error {
	if err := history.Save(dir, fileMatrix, cells); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, fileTable), []byte(table(cells)), 0o644); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return nil
}

// verdictOf tells the table. The matrix is valid if every cell is; one that could
// not be tested is worse than one that is not valid.
func verdictOf(w io.Writer, cells []cell) (valid bool, err error) {
	fmt.Fprint(w, "\n", table(cells))
	valid = true
	for _, c := range cells {
		if c.Error != "" {
			err = errors.Join(err, fmt.Errorf("cannot test %s under %s: %s", c.Workload, c.Nemesis, c.Error))
		}
		valid = valid && c.Valid
	}
	return valid, err
}

// table is the cells in Markdown.
func table(cells []cell) string {
	var b strings.Builder
	b.WriteString("| workload | nemesis | verdict | faults | exclusive: median away, longest | others: median away, longest | overlap | after a thaw | not valid |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range cells {
		b.WriteString(c.row())
	}
	return b.String()
}

func (c cell) row() string {
	word, why := "valid", strings.Join(c.NotValid, " ")
	switch {
	case c.Error != "":
		word, why = "not tested", strings.ReplaceAll(c.Error, "|", "/")
	case !c.Valid:
		word = "**not valid**"
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s | %s | %s |\n", c.Workload, c.Nemesis, word, c.Faults,
		away(c.Recovery, true), away(c.Recovery, false), span(c.Overlap), span(c.Thaw), why)
}

// away is how long children of a kind were away, by the worst of the faults that
// came in a cell.
func away(all []check.Recovery, exclusive bool) string {
	of := slices.DeleteFunc(slices.Clone(all), func(r check.Recovery) bool { return r.Exclusive != exclusive })
	if len(of) == 0 {
		return "-"
	}
	worst := slices.MaxFunc(of, func(a, b check.Recovery) int { return int(a.Max - b.Max) })
	return fmt.Sprintf("%v, %v", worst.Median.Round(10*time.Millisecond), worst.Max.Round(10*time.Millisecond))
}

// span is a time of lives that overlap.
func span(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return d.String()
}
