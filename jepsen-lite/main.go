package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/witness"
)

// Exit codes.
const (
	exitValid    = 0
	exitInvalid  = 1
	exitUntested = 2
)

const usage = `jepsen-lite tests a cluster of real processes under faults.

  jepsen-lite run --workload W --nemesis A,B --dir OUT   run, and judge
  jepsen-lite matrix --nemesis all --dir OUT             a run per workload and nemesis, and the table of verdicts
  jepsen-lite check DIR                                  judge an old run again
  jepsen-lite list                                       workloads, nemeses and checkers

Exit codes: 0 valid, 1 not valid, 2 could not test. "jepsen-lite run -h" has the flags.
`

func main() {
	if len(os.Args) > 1 && os.Args[1] == "witness" {
		os.Exit(witness.Main(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func command(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUntested
	}
	var valid bool
	var err error
	switch word := args[0]; word {
	case "run":
		valid, err = runCommand(ctx, args[1:])
	case "matrix":
		valid, err = matrixCommand(ctx, args[1:])
	case "check":
		valid, err = checkCommand(args[1:])
	case "list":
		list(os.Stdout)
		return exitValid
	case "help", "-h", "--help":
		fmt.Print(usage)
		return exitValid
	default:
		err = fmt.Errorf("there is no command %q%s", word, nearest(word, []string{"run", "matrix", "check", "list"}))
	}
	switch {
	case errors.Is(err, errHelp):
		return exitValid
	case err != nil:
		fmt.Fprintln(os.Stderr, "jepsen-lite:", err)
		var unable *lab.Unable
		if errors.As(err, &unable) {
			fmt.Fprintln(os.Stderr, "nothing was tested")
		}
		return exitUntested
	case !valid:
		return exitInvalid
	}
	return exitValid
}
