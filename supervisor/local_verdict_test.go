package supervisor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestComponentsSayWhatFollows: an error that carries a verdict is worth more than the
// restart type, however it is wrapped; and it is still the error that it was.
func TestComponentsSayWhatFollows(t *testing.T) {
	for _, c := range []struct {
		err     error
		phase   Phase
		verdict Verdict
	}{
		{Finish(nil), PhaseFinished, VerdictFinish},
		{Finish(errBroken), PhaseFinished, VerdictFinish},
		{fmt.Errorf("at last: %w", DoNotRestart(errBroken)), PhaseFailed, VerdictFail},
		{DoNotRestart(nil), PhaseFailed, VerdictFail},
		{errors.Join(errBroken, Finish(nil)), PhaseFinished, VerdictFinish},
	} {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			sup, err := New("t").
				AddChild("a", ComponentFunc(func(context.Context) error { runs++; return c.err })).
				AddChild("b", ComponentFunc(func(ctx context.Context) error { <-ctx.Done(); return nil })).
				Build()
			if err != nil {
				t.Fatal(err)
			}
			h, err := sup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			st, _ := h.Child("t/a")
			other, _ := h.Child("t/b")
			why := h.Why("t/a")
			if st.Phase != c.phase || runs != 1 || st.Budget.Used != 0 || other.Phase != PhaseRunning || why[len(why)-1].Verdict != c.verdict {
				t.Errorf("%v: %s after %d runs: %v", c.err, st.Phase, runs, why)
			}
			if _, err := h.Do(Start{Path: "t/a", By: "ann"}); err != nil && c.phase == PhaseFailed {
				t.Errorf("cannot be started again: %v", err)
			}
			if err := h.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	if !errors.Is(Escalate(errBroken), errBroken) || Finish(errBroken).Error() != "broken" || Finish(nil).Error() != "finish" {
		t.Error("the error that it carries is lost")
	}
}

// TestComponentEscalates: a whole budget is left, and the supervisor gives up. A panic is a
// crash, whatever its value.
func TestComponentEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sup, err := New("t").AddChild("a", ComponentFunc(func(context.Context) error { return Escalate(errBroken) })).Build()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := sup.Run(t.Context()); !errors.Is(err, ErrExhausted) || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
	if ev := Outcome(&PanicError{Value: Finish(nil)}); ev.Type != EventCrashed || ev.Word != "" {
		t.Errorf("a panic: %+v", ev)
	}
}
