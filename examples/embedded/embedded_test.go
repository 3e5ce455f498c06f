package main

import (
	"context"
	"net"
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

// freePorts finds a port whose next two are free as well.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 0
		var held []net.Listener
		for i := range 3 {
			lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i*min(port, 1))))
			if err != nil {
				break
			}
			held = append(held, lis)
			if i == 0 {
				port = lis.Addr().(*net.TCPAddr).Port
			}
		}
		for _, lis := range held {
			lis.Close()
		}
		if len(held) == 3 {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}
