package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	n := flag.Int("n", 0, "how many, at random; 0: all")
	seed := flag.Uint64("seed", 0, "chooses which; 0: draws one")
	markdown := flag.String("markdown", "", "write the table into this file")
	seeds := flag.Int("seeds", 0, "seeds of the simulation for each bug as well")
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e6
	}
	chosen, err := choose(*n, *seed, flag.Args())
	if err == nil && *markdown != "" && len(chosen) != len(bugs) {
		err = errors.New("cannot write the table: it needs all bugs")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if *n > 0 {
		fmt.Printf("%d of %d seeded bugs; the same again: make bugs N=%d SEED=%d\n", len(chosen), len(bugs), *n, *seed)
	}
	lab, err := newLab()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	lab.seeds = *seeds
	results := lab.huntAll(chosen)
	lab.close()
	if *markdown != "" {
		if err := write(*markdown, results); err != nil {
			fmt.Fprintln(os.Stderr, "cannot write the table:", err)
			os.Exit(2)
		}
	}
	os.Exit(verdict(results))
}

// choose gives the named bugs, or n at random, or all.
func choose(n int, seed uint64, names []string) ([]bug, error) {
	var chosen []bug
	for _, name := range names {
		i := slices.IndexFunc(bugs, func(b bug) bool { return b.name == name })
		if i < 0 {
			return nil, fmt.Errorf("cannot hunt %s: there is no such bug", name)
		}
		chosen = append(chosen, bugs[i])
	}
	switch {
	case len(names) > 0:
		return chosen, nil
	case n <= 0 || n >= len(bugs):
		return bugs, nil
	}
	for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(len(bugs))[:n] {
		chosen = append(chosen, bugs[i])
	}
	slices.SortFunc(chosen, func(a, b bug) int { return cmp.Compare(a.pkg, b.pkg) })
	return chosen, nil
}

// verdict sums up, and gives the exit status.
func verdict(results []result) int {
	var escaped, broken []string
	for _, r := range results {
		switch {
		case r.err != nil:
			broken = append(broken, r.bug.name)
		case !r.caught:
			escaped = append(escaped, r.bug.name)
		}
	}
	fmt.Printf("%d of %d caught\n", len(results)-len(escaped)-len(broken), len(results))
	switch {
	case len(escaped) > 0:
		fmt.Println("not caught:", strings.Join(escaped, ", "))
		return 1
	case len(broken) > 0:
		fmt.Println("could not hunt:", strings.Join(broken, ", "))
		return 2
	}
	return 0
}
