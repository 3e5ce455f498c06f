package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the root of this module's source, which binaries are built from: the
// tester runs somewhere inside of it.
func Module() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", unable("nodes are built with go, which does not run here: %v", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", unable("this is not inside of selfware's module, so there is nothing to build nodes from; give a binary")
	}
	return filepath.Dir(file), nil
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
