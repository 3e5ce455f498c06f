package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// parseCPU reads cores ("4", "0.5", "1500m") as thousandths; "" is 0.
func parseCPU(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits, milli := strings.CutSuffix(s, "m")
	v, err := strconv.ParseFloat(digits, 64)
	if !milli {
		v *= 1000
	}
	if err != nil || !(v >= 1) || v > 1e9 {
		return 0, usagef("cannot use --cpu %q: write cores, such as 4, 0.5 or 500m", s)
	}
	return int64(math.Round(v)), nil
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"B", 1},
}

// parseMemory reads bytes ("8GiB", "512M", "1000000"); "" is 0.
func parseMemory(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits, unit := s, 1.0
	for _, u := range units {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = strings.TrimSpace(d), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if v *= unit; err != nil || !(v >= 1) || v > 1<<60 {
		return 0, usagef("cannot use --memory %q: write bytes, such as 8GiB or 512MiB", s)
	}
	return int64(v), nil
}

// waitForFile reads a file that another node may be about to write.
func waitForFile(ctx context.Context, path string, patience time.Duration, say func(string)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said := false
	for {
		data, err := os.ReadFile(path)
		if text := strings.TrimSpace(string(data)); err == nil && text != "" {
			return text, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot read the token: %w", err)
		}
		if !said && patience > 0 {
			say(fmt.Sprintf("waiting up to %v for the token in %s", patience, path))
			said = true
		}
		if !pause(ctx, 200*time.Millisecond) {
			return "", fmt.Errorf("cannot read the token: %s did not appear within %v; `init --token-file %s` on the first node writes it", path, patience, path)
		}
	}
}

// pause waits; false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// writeAtomically makes a secret file, wholly or not at all.
func writeAtomically(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// readFile reads a file, or standard input for "-", up to a limit.
func readFile(c *cli.Context, path string, limit int64) ([]byte, error) {
	var r io.Reader = c.App.Reader
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", path, err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("cannot use %s: it is larger than %d bytes", path, limit)
	}
	return data, nil
}

func printJSON(c *cli.Context, v any) error {
	e := json.NewEncoder(c.App.Writer)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printLine prints JSON on one line, as streams have it.
func printLine(c *cli.Context, v any) error {
	e := json.NewEncoder(c.App.Writer)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// colour tells whether standard output is for a person who likes colour.
func colour() bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(os.Stdout)
}

// confirm asks before something that cannot be undone.
func confirm(c *cli.Context, question string) error {
	if c.Bool("yes") {
		return nil
	}
	if !isTerminal(os.Stdin) {
		return errors.New("cannot ask, since standard input is no terminal: nothing was changed; add --yes to go on")
	}
	fmt.Fprintf(c.App.ErrWriter, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(os.Stdin, &answer); err == nil && (strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")) {
		return nil
	}
	return errors.New("not confirmed: nothing was changed")
}
