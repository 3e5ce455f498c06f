package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// work is how long a job takes, and report how many jobs go into one line.
const (
	work   = 250 * time.Millisecond
	report = 20
)

func runWorker(flags *flag.FlagSet, args []string, out io.Writer) error {
	at := flags.String("api", apiAddr, "address of the api")
	if err := parse(flags, args); err != nil {
		return err
	}
	hello(out, "worker", "taking jobs from "+*at)
	seen := time.Now()
	for jobs := 1; ; {
		s, err := job("http://" + *at)
		switch {
		case err == nil:
			seen = time.Now()
			if jobs%report == 0 {
				fmt.Fprintf(out, "%s: %d jobs by me, %d by all\n", name("worker"), jobs, s.Done)
			}
			jobs++
		case time.Since(seen) > patience:
			return fmt.Errorf("cannot go on without the api: %w", err)
		default:
			time.Sleep(work)
		}
	}
}

// job takes one, does it, and says so.
func job(apiURL string) (stats, error) {
	if s, err := ask("POST", apiURL+"/jobs/take"); err != nil {
		return s, err
	}
	time.Sleep(work)
	return ask("POST", apiURL+"/jobs/done")
}

func runTick(flags *flag.FlagSet, args []string, out io.Writer) error {
	every := flags.Duration("every", 5*time.Second, "time between two lines")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *every <= 0 {
		return fmt.Errorf("--every %v: give a time above 0: %w", *every, errUsage)
	}
	hello(out, "tick", "a line every "+every.String())
	for i := 1; ; i++ {
		time.Sleep(*every)
		if _, err := fmt.Fprintf(out, "%s: %d\n", name("tick"), i); err != nil {
			return fmt.Errorf("cannot write: %w", err)
		}
	}
}
