package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// result is what came of one bug.
type result struct {
	bug    bug
	caught bool
	took   time.Duration
	err    error // the checker says nothing: it fails without the bug too, or cannot run
	output string
	// explored says whether the exploration found it, and when; empty: it was not asked.
	explored string
	// simulated is what the simulation says; empty: it noticed nothing, or was not asked.
	simulated string
}

// lab builds and runs test binaries.
type lab struct {
	dir   string
	built map[string]error // by package
	clean map[string]error // by package and test: without any bug
	seeds int              // of the simulation, for each bug
}

func newLab() (*lab, error) {
	dir, err := os.MkdirTemp("", "selfware-bugs-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for test binaries: %w", err)
	}
	return &lab{dir: dir, built: make(map[string]error), clean: make(map[string]error)}, nil
}

func (l *lab) close() { _ = os.RemoveAll(l.dir) }

// huntAll hunts each bug and prints a line for it.
func (l *lab) huntAll(chosen []bug) []result {
	var results []result
	for _, b := range chosen {
		r := l.hunt(b)
		if l.seeds > 0 && r.err == nil {
			r.simulated = l.simulate(b)
			fmt.Printf("%-34s simulated: %s\n", b.name, cmp.Or(r.simulated, "nothing"))
		}
		results = append(results, r)
		switch {
		case r.err != nil:
			fmt.Printf("%-34s cannot tell: %v\n%s\n", b.name, r.err, tail(r.output))
		case !r.caught:
			fmt.Printf("%-34s ESCAPED  %s %s\n%s\n", b.name, b.pkg, b.test, tail(r.output))
		default:
			fmt.Printf("%-34s caught   in %5.1f s by %s of %s\n", b.name, r.took.Seconds(), b.test, b.pkg)
			if r.explored != "" {
				fmt.Printf("%-34s explored: %s\n", b.name, r.explored)
			}
		}
	}
	return results
}

func (l *lab) hunt(b bug) result {
	r := result{bug: b}
	if r.err = l.build(b.pkg); r.err != nil {
		return r
	}
	key := b.pkg + " " + b.test
	if _, done := l.clean[key]; !done {
		out, _, err := l.run(b, "", 2*b.limit())
		if strings.Contains(out, "no tests to run") {
			err = errors.New("there is no such test")
		}
		if err != nil {
			r.output = out
			err = fmt.Errorf("%s of %s fails without a bug: %w", b.test, b.pkg, err)
		}
		l.clean[key] = err
	}
	if r.err = l.clean[key]; r.err != nil {
		return r
	}
	out, took, err := l.run(b, b.name, b.limit())
	r.output, r.took = out, took
	r.caught = err != nil && b.blamed(out)
	if r.caught && b.explored {
		l.explore(&r)
	}
	return r
}

// explore has the core explored with the bug, which counts as caught only if that finds
// it. Without a bug "make test" explores the same.
func (l *lab) explore(r *result) {
	whole := r.bug.exploration()
	if r.err = l.build(whole.pkg); r.err != nil {
		return
	}
	out, took, err := l.run(whole, r.bug.name, whole.limit())
	if r.caught = err != nil && whole.blamed(out); !r.caught {
		r.output = out
		return
	}
	r.explored = fmt.Sprintf("%.1f", took.Seconds())
	if m := broken.FindStringSubmatch(out); m != nil {
		r.explored = m[1] + " in " + r.explored + " s"
	}
}

// broken finds the promise that the simulation says is broken.
var broken = regexp.MustCompile(`(P\d+[a-z]?): `)

// simulate runs the simulation against a bug and tells which promise it finds broken.
func (l *lab) simulate(b bug) string {
	whole := bug{name: b.name, pkg: "internal/simtest", test: "TestSim", budget: 2 * time.Minute,
		env: []string{fmt.Sprintf("SELFWARE_SEEDS=%d", l.seeds), "SELFWARE_SHRINK=0"}}
	if err := l.build(whole.pkg); err != nil {
		return "cannot be built"
	}
	out, took, err := l.run(whole, b.name, whole.limit())
	if err == nil {
		return ""
	}
	what := "fails"
	if m := broken.FindStringSubmatch(out); m != nil {
		what = m[1]
	}
	return fmt.Sprintf("%s in %.0f s", what, took.Seconds())
}

// build makes the test binary of a package, with the bugs in it.
func (l *lab) build(pkg string) error {
	if err, done := l.built[pkg]; done {
		return err
	}
	cmd := exec.Command("go", "test", "-c", "-tags", "seeded_bugs", "-o", l.binary(pkg), "./"+pkg)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("cannot build the tests of %s: %w\n%s", pkg, err, out)
	}
	l.built[pkg] = err
	return err
}

func (l *lab) binary(pkg string) string {
	return filepath.Join(l.dir, strings.ReplaceAll(pkg, "/", "_")+".test")
}

// run runs the checker of a bug, with or without it, as "go test" would.
func (l *lab) run(b bug, seeded string, limit time.Duration) (output string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.binary(b.pkg), "-test.run", b.pattern(), "-test.count=1", "-test.failfast", "-test.v",
		"-test.timeout", b.limit().String())
	cmd.Dir = filepath.FromSlash(b.pkg)
	cmd.Env = append(os.Environ(), "SELFWARE_BUG="+seeded)
	cmd.Env = append(cmd.Env, b.env...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %v", limit)
	}
	return string(out), time.Since(began), err
}

// tail is the end of a long output.
func tail(s string) string {
	const most = 1500
	if len(s) > most {
		s = "..." + s[len(s)-most:]
	}
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}
