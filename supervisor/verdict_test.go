package supervisor

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// checkWord: what a child says, or its exit rules, costs no restart but where it has the
// child moved as after a crash; and no child is moved for the asking twice in a period.
func (r *rig) checkWord(d Decision) {
	r.Helper()
	ev, ok := r.last.(ChildEvent)
	if !ok || ev.Path != d.Path || d.Cause.Kind != CauseWord {
		return
	}
	if d.After != d.Before {
		r.Fatalf("%+v was charged: %+v", ev, d)
	}
	if ev.Type != EventAsked {
		return
	}
	if n := r.tree.byPath[d.Path]; n.paused() != nil {
		if d.Verdict != VerdictStay {
			r.Fatalf("%s is paused, and this is decided: %+v", d.Path, d)
		}
		return
	}
	last, asked := r.asked[d.Path]
	if tooSoon := asked && d.Time <= last; tooSoon != (d.Verdict == VerdictStay) {
		r.Fatalf("%s is not to be moved for the asking until %v, and this is decided: %+v", d.Path, last, d)
	}
	if d.Verdict == VerdictMove {
		r.asked[d.Path] = d.Time + d.Before.Period
	}
}

// TestParseExit: one way to write each exit in a tree, whatever the file says.
func TestParseExit(t *testing.T) {
	for text, want := range map[string]Exit{
		"0": "0", "255": "255", "007": "7", "+3": "3", "TERM": "SIGTERM", "SIGTERM": "SIGTERM", "SIGSEGV": "SIGSEGV", "ABRT": "SIGABRT",
	} {
		if got, err := ParseExit(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "256", "1.0", "sigterm", "SIG", "SIGSIGTERM", "SIGCHLD", "STOP", "SIGTEM", "0x1", " 1"} {
		if got, err := ParseExit(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

// TestExitRulesAreValid: what a file cannot say, no other caller can.
func TestExitRulesAreValid(t *testing.T) {
	for _, c := range []struct {
		rules ExitRules
		want  string
	}{
		{ExitRules{FinishOn: []Exit{"0", "SIGTERM"}, EscalateOn: []Exit{"3"}}, ""},
		{ExitRules{FinishOn: []Exit{"0"}, MoveOn: []Exit{"0"}}, "shop/a: 0 stands in finish_on and in move_on"},
		{ExitRules{EscalateOn: []Exit{"3", "3"}}, "shop/a: 3 stands in escalate_on and in escalate_on"},
		{ExitRules{NeverRestartOn: []Exit{"TERM"}}, `shop/a: never_restart_on has "TERM"`},
		{ExitRules{NeverRestartOn: []Exit{"007"}}, `shop/a: never_restart_on has "007"`},
		{ExitRules{MoveOn: []Exit{""}}, `shop/a: move_on has ""`},
	} {
		s := good()
		s.Children[0].Exits = &c.rules
		switch err := s.Validate(); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want %q", c.rules, err, c.want)
		}
	}
	s := good()
	s.Children[1].Exits = &ExitRules{}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "shop/s: exit rules are for workers") {
		t.Errorf("of a supervisor: %v", err)
	}
}

// TestRuling: whose word counts, of ends of every sort.
func TestRuling(t *testing.T) {
	rules := &ExitRules{FinishOn: []Exit{"0", "3"}, NeverRestartOn: []Exit{"SIGABRT"}, MoveOn: []Exit{"4"}, EscalateOn: []Exit{"5"}}
	for _, c := range []struct {
		ev   ChildEvent
		want Verdict
		why  string
	}{
		{ChildEvent{Type: EventExited, Reason: ExitNormal}, VerdictFinish, "0 is in finish_on"},
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 3}, VerdictFinish, "3 is in finish_on"},
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 4}, VerdictMove, "4 is in move_on"},
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 5}, VerdictEscalate, "5 is in escalate_on"},
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 6}, "", ""},
		{ChildEvent{Type: EventExited, Reason: ExitKilled, Signal: "SIGABRT"}, VerdictFail, "SIGABRT is in never_restart_on"},
		{ChildEvent{Type: EventExited, Reason: ExitKilled, Signal: "SIGKILL"}, "", ""},
		// It never ran here, or nobody knows how it ended.
		{ChildEvent{Type: EventExited, Reason: ExitKilled}, "", ""},
		{ChildEvent{Type: EventCrashed, Detail: "no such file", Word: VerdictFinish}, "", ""},
		// Its word is worth more than its code; a word that is none is not.
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 5, Word: VerdictFinish, Because: "done"}, VerdictFinish, "it says finish: done"},
		{ChildEvent{Type: EventExited, Reason: ExitNormal, Word: VerdictEscalate}, VerdictEscalate, "it says escalate"},
		{ChildEvent{Type: EventExited, Reason: ExitError, Code: 5, Word: "up"}, VerdictEscalate, "5 is in escalate_on"},
		// The node ended it, so that neither is its own.
		{ChildEvent{Type: EventExited, Reason: ExitTimeout, Code: 3, Word: VerdictFinish}, "", ""},
		{ChildEvent{Type: EventExited, Reason: ExitTimeout, Word: VerdictFinish, Fatal: true}, "", ""},
		{ChildEvent{Type: EventFenced, Word: VerdictEscalate}, "", ""},
	} {
		if got, why := rules.Ruling(&c.ev); got != c.want || why != c.why {
			t.Errorf("%+v: %q (%s), want %q (%s)", c.ev, got, why, c.want, c.why)
		}
	}
	if got, _ := (*ExitRules)(nil).Ruling(&ChildEvent{Type: EventExited, Reason: ExitError, Code: 1, Word: VerdictMove}); got != VerdictMove {
		t.Errorf("without rules: %q", got)
	}
}

// TestWordIsBounded: what a child says cannot fill the log, nor break it.
func TestWordIsBounded(t *testing.T) {
	r := started(t, "shop one_for_one\n  a")
	ds, err := r.step(ChildEvent{
		Path: "shop/a", Epoch: r.tree.byPath["shop/a"].life.Epoch, Type: EventExited, Reason: ExitNormal,
		Word: VerdictFail, Because: strings.Repeat("ü", 10_000),
	})
	if err != nil || len(ds) != 1 || len(ds[0].Sentence) > 2*MaxBecause || !strings.HasSuffix(ds[0].Cause.Detail, "ü...") {
		t.Errorf("%v %+v", err, ds)
	}
}

// TestExitRulesGoWithTheOrder: a node that may act alone must know which ends are not
// its to answer, also after an edit that restarts nothing.
func TestExitRulesGoWithTheOrder(t *testing.T) {
	r := started(t, "shop one_for_one\n  a finish_on=3\n  b temporary finish_on=3")
	_, o, _ := r.tree.Order("shop/a")
	if o.Local == nil || o.Exits == nil || !slices.Equal(o.Exits.FinishOn, []Exit{"3"}) {
		t.Errorf("a: %+v", o)
	}
	if _, o, _ := r.tree.Order("shop/b"); o.Exits != nil {
		t.Errorf("nobody restarts b alone: %+v", o)
	}
	spec, _ := parseSpec("shop one_for_one\n  a finish_on=4\n  b temporary finish_on=3")
	r.tree.Changed()
	r.must(Edit{Spec: spec})
	if _, o, _ := r.tree.Order("shop/a"); o.Action != Run || !slices.Equal(o.Exits.FinishOn, []Exit{"4"}) {
		t.Errorf("after the edit: %+v", o)
	}
}

// TestAskAloneAgain: an ask of a process that its node has replaced since is none of the
// present one's, which may ask itself.
func TestAskAloneAgain(t *testing.T) {
	r := started(t, "shop one_for_one max=4 in=60s\n  a")
	ref := Ref{"shop/a", r.tree.byPath["shop/a"].life.Epoch}
	r.must(ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: EventAsked, Word: VerdictMove})
	r.must(ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: EventExited, Reason: ExitNormal, Ordered: true})
	for range 3 {
		r.obey([]string{"n1", "n2"})
	}
	life := func() life { return r.tree.byPath["shop/a"].life }
	ref.Epoch = life().Epoch
	ask := ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: EventAsked, Word: VerdictMove}
	r.must(ask)
	r.must(ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: EventRestarted, Restarts: 1, Ages: []time.Duration{0}})
	if _, err := r.step(ask); err != ErrStale {
		t.Errorf("an ask of the process before: %v", err)
	}
	r.now += 2 * time.Minute
	ask.Restarts = 1
	if r.must(ask); life().Phase != PhaseStopping || life().Stay {
		t.Errorf("it asked again after a long time: %+v", life())
	}
}
