package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// batch is how many traces share a packet.
const batch = 1000

func main() {
	traces := flag.Uint64("traces", 1_000_000, "how many")
	seed := flag.Uint64("seed", 0, "draws them; 0: draws one")
	flag.Parse()
	if flag.NArg() > 0 || *traces == 0 {
		fmt.Fprintln(os.Stderr, "usage: otp [-traces N] [-seed S]; N is at least 1")
		os.Exit(2)
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e9
	}
	fmt.Printf("the same again: make otp TRACES=%d SEED=%d\n", *traces, *seed)
	found, err := compare(*traces, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot compare with OTP:", err)
		os.Exit(2)
	}
	for i, d := range found {
		if i == 3 {
			fmt.Printf("and %d more\n", len(found)-i)
			break
		}
		fmt.Println(d)
	}
	fmt.Printf("%d traces, %d differences\n", *traces, len(found))
	if len(found) > 0 {
		os.Exit(1)
	}
}

// compare gives the differences in traces 0 to n-1 of a seed, each cut down to the
// least that still differs. Every processor has an Erlang of its own.
func compare(n, seed uint64) (found []difference, err error) {
	dir, err := os.MkdirTemp("", "otp-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	batches := make(chan uint64, (n+batch-1)/batch)
	for first := uint64(0); first < n; first += batch {
		batches <- first
	}
	close(batches)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			ds, e := worker(dir, seed, n, batches)
			mu.Lock()
			defer mu.Unlock()
			found, err = append(found, ds...), errors.Join(err, e)
		})
	}
	wg.Wait()
	return found, err
}

// worker compares batches of traces, named by their first, until none is left.
func worker(dir string, seed, n uint64, batches <-chan uint64) (found []difference, err error) {
	o, err := run(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	for first := range batches {
		var traces []*trace
		for number := first; number < min(first+batch, n); number++ {
			traces = append(traces, draw(seed, number))
		}
		answers, err := o.ask(traces)
		if err != nil {
			return found, err
		}
		for i, t := range traces {
			if !differs(t, answers[i]) {
				continue
			}
			d, err := o.shrink(t)
			if err != nil {
				return found, err
			}
			d.seed, d.number = seed, first+uint64(i)
			found = append(found, d)
		}
	}
	return found, nil
}
