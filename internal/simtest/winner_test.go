package simtest

import (
	"context"
	"log/slog"
	"time"
)

// ear hears what a process logs. Raft's line "entering leader state" is written between
// its election and its first entry, by the goroutine that goes on to write that entry:
// the one place where a process can be made to stand still in the middle of raft.
type ear struct {
	slog.Handler
	p *process
}

func (e ear) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (e ear) WithAttrs(a []slog.Attr) slog.Handler { return ear{e.Handler.WithAttrs(a), e.p} }

func (e ear) WithGroup(name string) slog.Handler { return ear{e.Handler.WithGroup(name), e.p} }

// Handle passes on what somebody wants to read.
func (e ear) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "entering leader state" {
		e.p.won()
	}
	if e.Handler.Enabled(ctx, r.Level) {
		return e.Handler.Handle(ctx, r)
	}
	return nil
}

// won is called when the process has won an election and has not yet written its first
// entry. If the next winner is to be paused, this is when. Of a paused process, some
// goroutines go on sooner than others: this one, later than those of the network.
func (p *process) won() {
	s := p.m.s
	s.mu.Lock()
	length := s.winner
	s.winner = 0
	s.mu.Unlock()
	if length == 0 || p.dead.Load() {
		return
	}
	s.count(func(c *faultCounts) { c.winners++ })
	s.bit("pause-winner")
	s.notef("%s wins and stands still for %v", p.m.name, length)
	p.m.pause()
	time.AfterFunc(length, p.m.resume)
	p.m.gate.wait()
	time.Sleep(time.Duration(p.m.chance() * float64(30*time.Millisecond)))
}
