package mux

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// register refuses starts below min and notes the others.
type register struct {
	min uint64

	mu    sync.Mutex
	noted []string
}

var errOld = errors.New("too old")

func (r *register) Check(node string, s Start) error {
	if s.Seq < r.min {
		return fmt.Errorf("%s: %w", node, errOld)
	}
	return nil
}

func (r *register) Note(node string, s Start) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted = append(r.noted, fmt.Sprint(node, s))
}

func started(id string, seq uint64) Identity {
	i := ident(id)
	i.Start = Start{Seq: seq, Boot: 7, Term: 8, Reach: 9}
	return i
}

// TestStarts: either side learns the other's start, and refuses it, before a byte
// reaches anybody. What is not authenticated is not noted.
func TestStarts(t *testing.T) {
	for name, tt := range map[string]struct {
		mux, dialer       uint64 // their own starts
		want              error
		wrongKey          bool
		byMux, byDialer   string
		minMux, minDialer uint64
	}{
		"both are new":           {2, 3, nil, false, "[client{3 7 8 9}]", "[server{2 7 8 9}]", 3, 2},
		"the dialer is old":      {2, 3, ErrStale, false, "[]", "[]", 4, 0},
		"who is dialled is old":  {2, 3, errOld, false, "[]", "[]", 0, 3},
		"a stranger claims much": {2, 99, ErrWrongKey, true, "[]", "[]", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pl, mine, theirs := newPipeListener(), &register{min: tt.minDialer}, &register{min: tt.minMux}
				m := startMux(t, Config{Listener: pl, Self: started("server", tt.mux), Starts: theirs})
				m.Listener(Raft)
				d := &Dialer{Dial: pl.dial, Self: started("client", tt.dialer), Starts: mine}
				if tt.wrongKey {
					d.Self.Key = make([]byte, keySize)
				}
				conn, err := d.DialNode(t.Context(), "server", "x", Raft)
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if err == nil {
					defer conn.Close()
				}
				synctest.Wait()
				if got := fmt.Sprint(theirs.noted); got != tt.byMux {
					t.Errorf("the mux noted %s, want %s", got, tt.byMux)
				}
				if got := fmt.Sprint(mine.noted); got != tt.byDialer {
					t.Errorf("the dialer noted %s, want %s", got, tt.byDialer)
				}
			})
		})
	}
}
