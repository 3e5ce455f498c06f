package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/nemesis"
)

// cell is one run of the matrix, and what came of it.
type cell struct {
	work, nemesis string
	results       results
	err           error
}

// matrixCommand runs every workload that is asked for under every nemesis that
// the lab can do, and writes the table of verdicts.
func matrixCommand(ctx context.Context, args []string) (bool, error) {
	flags := flag.NewFlagSet("jepsen-lite matrix", flag.ContinueOnError)
	works := flags.String("workload", "exclusive", "`NAMES` of workloads, with commas between")
	only := flags.String("nemesis", "", "`NAMES` of faults (default: all that can be done)")
	length := flags.Duration("time", 40*time.Second, "how long faults may come in each cell")
	seed := flags.Uint64("seed", 1, "seed of the first cell; each next one has the next")
	backend := flags.String("backend", "netns", "netns, loopback or compose")
	profile := flags.String("profile", "lan", "profile of the nodes")
	binary := flags.String("binary", "", "`PATH` of the selfware-node to test")
	dir := flags.String("dir", "", "`FOLDER` for what is found, a folder per cell")
	switch err := flags.Parse(args); {
	case err != nil:
		return false, err
	case *dir == "":
		return false, errors.New("say with --dir where to put what is found")
	}
	names, err := doable(*only, *backend)
	if err != nil {
		return false, err
	}
	if *binary == "" {
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return false, fmt.Errorf("cannot put anything into %s: %w", *dir, err)
		}
		*binary = filepath.Join(*dir, "selfware-node")
		if err := lab.Build(ctx, *binary, ""); err != nil {
			return false, err
		}
	}
	var cells []cell
	for _, work := range strings.Split(*works, ",") {
		for _, name := range names {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			c := cell{work: work, nemesis: name}
			out := filepath.Join(*dir, work+"-"+name)
			_, c.err = runCommand(ctx, []string{
				"--workload", work, "--nemesis", name, "--time", length.String(), "--seed", fmt.Sprint(*seed),
				"--backend", *backend, "--profile", *profile, "--binary", *binary, "--dir", out,
			})
			if c.err == nil {
				c.results, c.err = history.LoadOne[results](out, fileResults)
			}
			*seed++
			cells = append(cells, c)
		}
	}
	return table(os.Stdout, filepath.Join(*dir, "matrix.md"), cells)
}

// doable are the names of nemeses that a back-end can do here.
func doable(only, backend string) ([]string, error) {
	if only != "" {
		return strings.Split(only, ","), nil
	}
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

// table writes the cells as a table, to a file and a terminal; false if one is
// not valid.
func table(w io.Writer, file string, cells []cell) (valid bool, err error) {
	var b strings.Builder
	b.WriteString("| workload | nemesis | verdict | faults | exclusive: longest away | others: longest away | overlaps | not valid |\n|---|---|---|---|---|---|---|---|\n")
	valid = true
	for _, c := range cells {
		if c.err != nil {
			valid = false
			fmt.Fprintf(&b, "| %s | %s | could not test | | | | | %v |\n", c.work, c.nemesis, strings.ReplaceAll(c.err.Error(), "\n", " "))
			continue
		}
		valid = valid && c.results.Valid
		b.WriteString(c.row())
	}
	fmt.Fprint(w, "\n", b.String())
	return valid, os.WriteFile(file, []byte(b.String()), 0o644)
}

func (c cell) row() string {
	word, faults, overlaps := "valid", int64(0), "0"
	var not []string
	for _, v := range c.results.Checkers {
		switch v.Checker {
		case "evidence":
			faults = v.Get("faults")
		case "overlap":
			if n := len(v.Findings) + v.More; n > 0 {
				overlaps = fmt.Sprint(n)
			} else if us := v.Get("longest after a freeze, µs"); us > 0 {
				overlaps = fmt.Sprintf("%d µs after the thaw", us)
			}
		}
		if !v.Valid {
			word, not = "**not valid**", append(not, v.Checker)
		}
	}
	away := map[bool]string{true: "-", false: "-"}
	for _, r := range c.results.Recovery {
		away[r.Exclusive] = r.Max.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s | %s |\n", c.work, c.nemesis, word, faults, away[true], away[false], overlaps, strings.Join(not, " "))
}
