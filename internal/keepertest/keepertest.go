package keepertest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/keeper/wire"
)

const key = "KEEPERTEST"

func init() { runtime.LockOSThread() } // a keeper runs on the main thread

// Options say how the keeper is to be.
type Options struct {
	GroupsOnly bool
	BootID     string
	// Log gets what the keeper says; nil = standard error.
	Log *os.File
}

type order struct {
	Dir   string
	Conns []int
	Options
}

// Main must be called first in TestMain. In a process that Start started it does
// not return.
func Main() {
	keeper.MaybeAnswer()
	text := os.Getenv(key)
	if text == "" {
		return
	}
	os.Unsetenv(key)
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	code, err := keeper.Run(context.Background(), keeper.Config{
		Dir: o.Dir, Conns: o.Conns, GroupsOnly: o.GroupsOnly, BootID: o.BootID, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// Start starts a keeper for a data dir. It gives its process, for which the test
// waits at its end, and the connections of agents that it serves one after the other.
func Start(t testing.TB, dir string, agents int, opt Options) (cmd *exec.Cmd, conns []int) {
	t.Helper()
	o := order{Dir: dir, Options: opt}
	o.Log = nil
	cmd = exec.Command("/proc/self/exe")
	for i := range agents {
		ours, theirs, err := wire.Pair()
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(theirs), "agent")
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		conns, o.Conns = append(conns, ours), append(o.Conns, 3+i)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), key+"="+string(text))
	if cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr; opt.Log != nil {
		cmd.Stdout, cmd.Stderr = opt.Log, opt.Log
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	return cmd, conns
}
