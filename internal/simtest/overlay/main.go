package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	var o options
	flag.Uint64Var(&o.first, "seed", 1, "the first seed: of its plan, and of all chance")
	flag.Uint64Var(&o.seeds, "seeds", 1, "how many seeds")
	flag.IntVar(&o.runs, "runs", 2, "how often each is run")
	flag.BoolVar(&o.days, "days", false, "plans with quiet hours between the faults")
	flag.StringVar(&o.plan, "plan", "", "a file with a plan, instead of the seed's")
	flag.StringVar(&o.steps, "steps", "", "a directory for a file per run, of every step of every goroutine")
	flag.Parse()
	all, err := replay(o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Printf("exact replay: %d runs of %d seeds, %d differences, %d failed\n", all.runs, o.seeds, all.differences, all.failed)
	if all.differences+all.failed > 0 {
		os.Exit(1)
	}
}

// options say what is run.
type options struct {
	first, seeds uint64
	runs         int
	days         bool
	plan, steps  string
}

// tally counts runs, those that were not like the first of their seed, and those whose
// simulation failed.
type tally struct{ runs, differences, failed int }

// replay runs all seeds.
func replay(o options, log io.Writer) (all tally, err error) {
	dir, err := os.MkdirTemp("", "selfware-overlay-")
	if err != nil {
		return all, err
	}
	defer os.RemoveAll(dir)
	binary, err := build(dir)
	if err != nil {
		return all, err
	}
	for seed := o.first; seed < o.first+o.seeds; seed++ {
		if err := o.again(binary, seed, &all, log); err != nil {
			return all, fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return all, nil
}

// build makes the test binary on the changed runtime.
func build(dir string) (binary string, err error) {
	overlay, err := writeOverlay(dir)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "simtest.test")
	cmd := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, "./internal/simtest")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cannot build the simulation on the changed runtime: %w", err)
	}
	return binary, nil
}

// again runs one seed so often.
func (o options) again(binary string, seed uint64, all *tally, log io.Writer) error {
	var first result
	for number := 1; number <= o.runs; number++ {
		began := time.Now()
		r, said, err := o.run(binary, seed, number)
		if err != nil {
			return err
		}
		if number == 1 {
			first = r
		}
		fmt.Fprintf(log, "seed %d, run %d: %v (%v)%s\n", seed, number, r, time.Since(began).Round(time.Millisecond), all.add(r, first))
		if r.failed && number == 1 {
			fmt.Fprintf(log, "%s", said)
		}
	}
	return nil
}

// add counts a run, and gives a note on it.
func (t *tally) add(r, first result) (note string) {
	t.runs++
	if r.failed {
		t.failed++
		note = " FAILED"
	}
	if r != first {
		t.differences++
		note += " DIFFERS"
	}
	return note
}
