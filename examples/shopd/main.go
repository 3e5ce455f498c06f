package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	storeAddr = "127.0.0.1:7481"
	apiAddr   = "127.0.0.1:7482"

	// patience is how long api and workers do without the part below them.
	patience = 5 * time.Second
	// listenPatience bounds the wait for a port that a former life still holds.
	listenPatience = 2 * time.Second
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "shopd:", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

var errUsage = errors.New("usage: shopd store|api|worker|tick [--flags]")

// run is one part of the shop, for as long as it lives.
func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("shopd "+args[0], flag.ContinueOnError)
	part, ok := map[string]func(*flag.FlagSet, []string, io.Writer) error{
		"store": runStore, "api": runAPI, "worker": runWorker, "tick": runTick,
	}[args[0]]
	if !ok {
		return fmt.Errorf("%q: %w", args[0], errUsage)
	}
	return part(flags, args[1:], out)
}

// parse reads flags, and refuses what is left over.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w (%v)", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: %w", strings.Join(flags.Args(), " "), errUsage)
	}
	return nil
}

// listen waits a little for a port that is in use: a child that was moved can
// start while its former life is still being buried on another node.
func listen(addr string) (net.Listener, error) {
	for deadline := time.Now().Add(listenPatience); ; time.Sleep(20 * time.Millisecond) {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return nil, fmt.Errorf("cannot listen: %w", err)
		}
	}
}

// name is the path of this child in its tree, or the part it plays where nobody
// supervises it.
func name(part string) string {
	if path := os.Getenv("SELFWARE_CHILD"); path != "" {
		return path
	}
	return part
}

// hello is the first line of every life. The reason tells a restart from a move.
func hello(out io.Writer, part, what string) {
	why := os.Getenv("SELFWARE_START_REASON")
	if why == "" {
		why = "by hand"
	}
	fmt.Fprintf(out, "%s: pid %d, %s (start: %s)\n", name(part), os.Getpid(), what, why)
}
