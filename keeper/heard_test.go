package keeper

import (
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/wire"
)

// TestDeadAgentIsHeardToTheEnd: the reaper may know of an end before the last word has
// arrived. What is to be done about it is decided afterwards.
func TestDeadAgentIsHeardToTheEnd(t *testing.T) {
	l, err := newLives()
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{
		cfg: Config{Agent: []string{"agent"}}, log: slog.New(slog.DiscardHandler), lives: l,
		wake: make(chan struct{}, 1), due: time.NewTimer(time.Hour),
	}
	conn := wire.NewConn(ours)
	status := unix.WaitStatus(1 << 8)
	l.link, l.over, l.ever = conn, &status, true
	for range 2 { // however often it looks, and though its time to end is over
		if _, over := k.tend(); over || !l.isMourned() {
			t.Fatal("the end is judged before the agent is heard")
		}
		k.onTime()
	}
	if err := wire.NewConn(theirs).Send(&wire.Message{Op: wire.LastWord, Note: []byte("farewell")}); err != nil {
		t.Fatal(err)
	}
	conn.Shut() // as the reaper does
	k.listen(conn)
	if _, over := k.tend(); over || l.isMourned() || k.tries != 1 {
		t.Errorf("over: %v, tries: %d", over, k.tries)
	}
	if got := k.why(status); got != "does not stay: exit code 1: farewell" {
		t.Errorf("got %q", got)
	}
}
