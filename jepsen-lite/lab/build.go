package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/selfware/selfware/jepsen-lite/clock"
)

// Module is the root of this module's source, which binaries are built from: the
// tester runs somewhere inside of it.
func Module() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", unable("nodes are built with go, which does not run here: %v", err)
	}
	file := strings.TrimSpace(string(out))
	root := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(root, "cmd", "selfware-node")); file == "" || file == os.DevNull || err != nil {
		return "", unable("this is not inside of selfware's module, so there is nothing to build nodes from; give a binary")
	}
	return root, nil
}

// Clocks says why no clock can be set wrong here: Config.Clocks would fail. What is
// released has no such clocks, so that no other binary helps.
func Clocks() error {
	if _, err := Module(); err != nil {
		return unable("clock-* need a selfware-node whose clocks can be set, which no --binary is: it is built from source for them; run jepsen-lite with go in its PATH and selfware's module as its working directory")
	}
	return nil
}

// Build builds the selfware-node of this module, as it is released but for the
// tags and flags given.
func Build(ctx context.Context, out, tags string, flags ...string) error {
	root, err := Module()
	if err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=jepsen-lite", "-tags", tags, "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/selfware-node")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build selfware-node: %w\n%s", err, text)
	}
	return nil
}

// BuildClocks builds the same with clocks that can be set wrong.
func BuildClocks(ctx context.Context, out, tags string) error {
	root, err := Module()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", prefix+"overlay-")
	if err != nil {
		return fmt.Errorf("cannot build with an overlay: %w", err)
	}
	defer os.RemoveAll(dir)
	overlay, err := clock.Overlay(dir, filepath.Join(root, "cmd", "selfware-node"))
	if err != nil {
		return unable("%v", err)
	}
	return Build(ctx, out, tags, "-overlay", overlay)
}

// paged is a node's clock, set by a page of memory.
type paged struct {
	path string
	page *clock.Page
}

func openClock(path string) (*paged, error) {
	page, err := clock.Open(path)
	if err != nil {
		return nil, err
	}
	return &paged{path, page}, nil
}

// Set implements Clock.
func (c *paged) Set(f ClockFault) error { c.page.Set(clock.Fault(f)); return nil }

// Reads implements Clock.
func (c *paged) Reads() (uint64, error) { return c.page.Reads(), nil }
