package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

func main() {
	seed := flag.Uint64("seed", 1, "the seed of the plan, and of all chance")
	plan := flag.String("plan", "", "a file with a plan, instead of the seed's")
	runs := flag.Int("runs", 2, "how often it is run")
	flag.Parse()
	same, err := replay(*seed, *plan, *runs)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if same < *runs {
		fmt.Printf("%d of %d runs have the trace of most: not exact this time\n", same, *runs)
		os.Exit(1)
	}
	fmt.Printf("all %d runs have one trace\n", *runs)
}

// replay gives how many runs have the trace that most have.
func replay(seed uint64, plan string, runs int) (same int, err error) {
	dir, err := os.MkdirTemp("", "selfware-overlay-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir)
	if err != nil {
		return 0, err
	}
	binary := filepath.Join(dir, "simtest.test")
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, "./internal/simtest")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("cannot build the simulation on the changed runtime: %w", err)
	}
	traces := make(map[string]int)
	for i := range runs {
		began := time.Now()
		trace, err := run(binary, seed, plan)
		if err != nil {
			return 0, err
		}
		traces[trace]++
		same = max(same, traces[trace])
		fmt.Printf("run %d: trace %s (%v)\n", i+1, trace, time.Since(began).Round(time.Millisecond))
	}
	return same, nil
}

var traceLine = regexp.MustCompile(`(?m)^trace ([0-9a-f]{16}.*)$`)

// run gives the hash of one run's trace.
func run(binary string, seed uint64, plan string) (string, error) {
	number := strconv.FormatUint(seed, 10)
	cmd := exec.Command(binary, "-test.run", "^TestReplay$", "-test.timeout", "30m")
	cmd.Dir = filepath.Join("internal", "simtest")
	cmd.Env = append(os.Environ(), "SELFWARE_REPLAY="+number, "SELFWARE_PLAN="+plan,
		"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,gcstoptheworld=2")
	out, err := cmd.Output()
	found := traceLine.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("cannot tell the trace of a run (%v): %s", err, out)
	}
	return string(found[1]), nil
}
