package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
)

func main() {
	deep := flag.Bool("deep", false, "the larger scopes, too")
	list := flag.Bool("list", false, "list the scopes and explore none")
	limit := flag.Int("limit", 0, "states to visit in each scope at most; 0: as the scope says")
	quiet := flag.Bool("quiet", false, "tell of violations and the sum only")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: explore [-deep] [-list] [-quiet] [-limit N] [part of a scope's name]...")
	}
	flag.Parse()
	chosen := scopes(*deep, flag.Args())
	if len(chosen) == 0 {
		fmt.Fprintln(os.Stderr, "cannot explore: there is no such scope; -list names them")
		os.Exit(2)
	}
	if *list {
		for _, sc := range chosen {
			fmt.Println(sc.name)
		}
		return
	}
	var sum report
	violations := 0
	explore(chosen, *limit, func(r report) {
		if !*quiet || r.broken != nil {
			fmt.Println(r.String())
		}
		if sum.states, sum.steps = sum.states+r.states, sum.steps+r.steps; r.broken == nil {
			return
		}
		if violations++; violations <= 3 {
			fmt.Printf("%v\n%s\n", r.broken, strings.Join(r.story, "\n"))
		}
	})
	fmt.Printf("%d states, %d transitions, %d violations\n", sum.states, sum.steps, violations)
	if violations > 0 {
		os.Exit(1)
	}
}

// explore explores the scopes, as many at a time as there are processors, and tells of
// each, in their order.
func explore(chosen []*scope, limit int, tell func(r report)) {
	results := make([]chan report, len(chosen))
	for i := range results {
		results[i] = make(chan report, 1)
	}
	next := make(chan int, len(chosen))
	for i := range chosen {
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				sc := chosen[i]
				sc.prepare()
				bound := sc.limit
				if limit > 0 {
					bound = limit
				}
				results[i] <- sc.search(bound)
			}
		})
	}
	for i := range results {
		tell(<-results[i])
	}
	workers.Wait()
}
