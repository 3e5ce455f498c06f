package offline

import (
	"fmt"
	"math"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/supervisor"
)

// tracer applies a log from its first entry and writes down what follows.
type tracer struct {
	log *history.Log
	m   *fsm.Machine
}

func (t *tracer) run(s *raftstore.Store) error {
	t.m = fsm.New()
	for i := uint64(1); i <= t.log.Common; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			return fmt.Errorf("cannot read log entry %d: %w", i, err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if err := t.entry(i, l.Data); err != nil {
			return err
		}
	}
	t.m.View(func(v fsm.View) {
		for _, n := range v.Nodes() {
			t.log.Names[n.ID] = n.Name
		}
	})
	return nil
}

func (t *tracer) entry(index uint64, data []byte) error {
	e, err := fsm.DecodeEntry(data)
	if err != nil {
		return err
	}
	results, err := t.m.Apply(index, data)
	if err != nil {
		return err
	}
	for i := range e.Commands {
		t.command(index, &e.Commands[i], results[i])
	}
	t.m.View(func(v fsm.View) {
		records, _ := v.Records(index-1, math.MaxInt32, fsm.MaxRecords)
		for _, r := range records {
			t.log.Records = append(t.log.Records, history.Record{Index: r.Index, N: r.N, Sentence: r.Sentence})
			if r.Decision != nil {
				t.log.Decisions = append(t.log.Decisions, *r.Decision)
			}
		}
	})
	return nil
}

func (t *tracer) command(index uint64, c *fsm.Command, r fsm.Result) {
	switch c.Type {
	case fsm.TypeEvents:
		t.ends(index, c.Events, r.Decisions)
	case fsm.TypeNodeLost:
		t.log.Commands = append(t.log.Commands, history.Command{
			Index: index, Type: "lost", By: c.Node.ID, Request: c.Node.Reason,
		})
	case fsm.TypeApplyTree, fsm.TypeDeleteTree, fsm.TypeVerb:
		kind := map[fsm.Type]string{fsm.TypeApplyTree: "apply", fsm.TypeDeleteTree: "delete", fsm.TypeVerb: "verb"}[c.Type]
		did := history.Command{Index: index, Type: kind, By: c.By, Request: c.Request}
		if r.Err != nil {
			did.Error = r.Err.Error()
		}
		t.log.Commands = append(t.log.Commands, did)
	}
}

// ends writes down which reports of an end led to a decision. Two reports of one
// child in a command are told apart by the positions of what they led to.
func (t *tracer) ends(index uint64, events []supervisor.ChildEvent, ds []supervisor.Decision) {
	led := make(map[string][]uint16)
	for _, d := range ds {
		if final(d.Verdict) && d.Cause.Kind != supervisor.CauseAutonomy && !slices.Contains(led[d.Path], d.Pos) {
			led[d.Path] = append(led[d.Path], d.Pos)
		}
	}
	for _, ev := range events {
		switch ev.Type {
		case supervisor.EventExited, supervisor.EventCrashed, supervisor.EventFenced:
			decided := len(led[ev.Path]) > 0
			if decided {
				led[ev.Path] = led[ev.Path][1:]
			}
			t.log.Ends = append(t.log.Ends, history.End{
				Index: index, Path: ev.Path, Epoch: ev.Epoch, Type: string(ev.Type), Decided: decided,
			})
		}
	}
}

// final: the verdict says what becomes of a child whose life has ended.
func final(v supervisor.Verdict) bool {
	switch v {
	case supervisor.VerdictRestart, supervisor.VerdictMove, supervisor.VerdictEscalate, supervisor.VerdictFinish,
		supervisor.VerdictFail, supervisor.VerdictStopped, supervisor.VerdictShutdown:
		return true
	}
	return false
}
