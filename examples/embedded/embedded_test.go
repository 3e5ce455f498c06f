package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMoves: the function runs, its node is closed, and it runs on another.
func TestMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("a real cluster")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, [3]int{freePorts(t), freePorts(t), freePorts(t)}); err != nil {
		t.Fatalf("%v, after:\n%s", err, &out)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "post/mail runs on n") || !strings.HasPrefix(lines[3], "post/mail runs on n") ||
		lines[1][:len("post/mail runs on n1")] == lines[3][:len("post/mail runs on n1")] {
		t.Errorf("it printed\n%s", &out)
	}
}

// freePorts finds three ports in a row, below those that the system gives to whoever dials:
// such a one may be taken before a node listens there.
func freePorts(t *testing.T) int {
	t.Helper()
	for ; unused < 32000; unused += 3 {
		free := 0
		for port := unused; port < unused+3; port++ {
			if lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
				lis.Close()
				free++
			}
		}
		if free == 3 {
			unused += 3
			return unused - 3
		}
	}
	t.Fatal("no free ports")
	return 0
}

var unused = 20_000 + os.Getpid()%1000*9
