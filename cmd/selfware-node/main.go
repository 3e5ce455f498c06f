package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/runner"
)

// version is set by the linker.
var version = "unknown"

// A keeper forks from the main thread, as long as it lives.
func init() { runtime.LockOSThread() }

func main() {
	runner.MaybeExec()
	keeper.MaybeAnswer()
	os.Exit(run(os.Args))
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func run(args []string) int {
	sig, ctx := catchSignals(context.Background())
	defer sig.stop()
	words, upgraded, err := keeper.Inherited()
	if upgraded {
		if err == nil {
			err = keep(ctx, words)
		}
		return report(os.Stderr, err)
	}
	app := newApp(sig)
	args, err = arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	return report(os.Stderr, err)
}

// report prints an error for a person and gives the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	var e exitCode
	if errors.As(err, &e) {
		return int(e) // the agent has said why
	}
	fmt.Fprintf(w, "selfware-node: %s\n", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n  "))
	var u usageError
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }
