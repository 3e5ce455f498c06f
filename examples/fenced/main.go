package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/selfware/selfware/fence"
)

// lockPatience is how long a step waits for another life that is in the middle of one.
const lockPatience = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "fenced:", err)
	if errors.Is(err, fence.ErrStale) {
		os.Exit(3)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("fenced", flag.ContinueOnError)
	file := flags.String("file", "", "count in this `file`")
	every := flags.Duration("every", time.Second, "pause between two steps")
	step := flags.Bool("step", false, "count once per line of standard input")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || *every <= 0 || flags.NArg() > 0 {
		return errors.New("usage: fenced --file FILE [--every 1s | --step]")
	}
	token, err := fence.FromEnv()
	if err != nil {
		return err
	}
	c := counter{*file, fence.NewFile(*file + ".fence"), token}
	next := ticks(ctx, *every)
	if *step {
		next = lines(in)
	}
	for next() {
		n, err := c.count(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d by %v\n", n, token)
	}
	return nil
}

// ticks gives a turn after each pause, until ctx ends.
func ticks(ctx context.Context, pause time.Duration) func() bool {
	return func() bool {
		select {
		case <-time.After(pause):
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// lines gives a turn for each line.
func lines(in io.Reader) func() bool { return bufio.NewScanner(in).Scan }

// counter is a count in a file, as one life may change it.
type counter struct {
	path  string
	fence *fence.File
	token fence.Token
}

// count adds one. No other life can come in between the check of the token and the
// file's new content.
func (c counter) count(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	err = c.fence.Do(ctx, c.token, func() error {
		if n, err = c.read(); err != nil {
			return err
		}
		n++
		return c.write(n)
	})
	return n, err
}

func (c counter) read() (int, error) {
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// write replaces the file, so that a crash leaves either count.
func (c counter) write(n int) error {
	temp, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // if it still has that name
	_, err = fmt.Fprintln(temp, n)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), c.path)
}
