package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/nemesis"
	"github.com/selfware/selfware/jepsen-lite/report"
)

// fileResults is the verdict of a run.
const fileResults = "results.json"

// results is what results.json holds.
type results struct {
	Valid    bool             `json:"valid"`
	Run      history.Run      `json:"run"`
	Checkers []check.Verdict  `json:"checkers"`
	Recovery []check.Recovery `json:"recovery"`
}

func checkCommand(args []string) (bool, error) {
	if len(args) != 1 {
		return false, errors.New("say which folder to judge: jepsen-lite check DIR")
	}
	return judge(args[0], true)
}

// judge judges what a folder holds, and tells it there and on the terminal.
func judge(dir string, keep bool) (bool, error) {
	in, err := check.Load(dir)
	if err != nil {
		return false, fmt.Errorf("cannot judge %s: %w", dir, err)
	}
	verdicts, err := check.All(in)
	if err != nil {
		return false, err
	}
	r := results{Valid: true, Run: in.Run, Checkers: verdicts, Recovery: in.Recoveries()}
	for _, v := range verdicts {
		r.Valid = r.Valid && v.Valid
	}
	if err := errors.Join(history.Save(dir, fileResults, r), report.Write(dir, in, verdicts)); err != nil {
		return false, err
	}
	tell(os.Stdout, dir, r)
	if r.Valid && !keep {
		return true, os.RemoveAll(filepath.Join(dir, dataDir))
	}
	return r.Valid, nil
}

// tell prints the table of verdicts.
func tell(w io.Writer, dir string, r results) {
	fmt.Fprintf(w, "\n%s under %s on %s, profile %s, seed %d\n\n", r.Run.Workload, strings.Join(r.Run.Nemeses, ", "), r.Run.Backend, r.Run.Profile, r.Run.Seed)
	for _, v := range r.Checkers {
		word := "ok"
		if !v.Valid {
			word = "NOT VALID"
		}
		var counts []string
		for _, c := range v.Counts {
			counts = append(counts, fmt.Sprintf("%s %d", c.Name, c.N))
		}
		fmt.Fprintf(w, "  %-13s %-8s %-9s %s\n", v.Checker, v.Promise, word, strings.Join(counts, ", "))
		for _, f := range v.Findings {
			fmt.Fprintf(w, "      %s\n", f)
		}
		if v.More > 0 {
			fmt.Fprintf(w, "      and %d more\n", v.More)
		}
	}
	for _, rec := range r.Recovery {
		kind := "others"
		if rec.Exclusive {
			kind = "exclusive"
		}
		fmt.Fprintf(w, "  away under %-18s %-9s %3d times, median %v, longest %v\n", rec.Nemesis, kind, rec.N, rec.Median.Round(1e6), rec.Max.Round(1e6))
	}
	word := "VALID"
	if !r.Valid {
		word = "NOT VALID"
	}
	fmt.Fprintf(w, "\n%s: %s\n", word, dir)
}

// checkers are those that the workload and the faults call for.
func (t *tester) checkers() []string {
	names := t.work.AllCheckers()
	benign := !t.work.Churn && t.work.Crowd == 0
	for _, n := range t.choices() {
		benign = benign && strings.HasPrefix(n.Line(), "benign:")
	}
	if benign {
		names = append(names, "nofalsedeath")
	}
	return unique(names)
}

// choices are all nemeses that may strike.
func (t *tester) choices() (all []nemesis.Nemesis) {
	for _, s := range t.nemeses {
		all = append(all, s.choices...)
	}
	return all
}

func unique(names []string) (all []string) {
	seen := make(map[string]bool)
	for _, n := range names {
		if !seen[n] {
			all = append(all, n)
		}
		seen[n] = true
	}
	return all
}
