package simproc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

func launch(path string, epoch uint64) agent.Launch {
	return agent.Launch{
		Ref:     supervisor.Ref{Path: path, Epoch: supervisor.Epoch(epoch)},
		Program: &supervisor.Program{Argv: []string{path}, Grace: 5 * time.Second},
	}
}

// told is what the table has told by now, in one word each.
func told(tab *simproc.Table) (out string) {
	synctest.Wait()
	for {
		select {
		case e := <-tab.Events():
			if out += " " + e.Kind.String(); e.Kind == runner.Exited {
				out += ":" + e.Signal + string(rune('0'+max(0, e.Code)))
			}
		default:
			return out
		}
	}
}

func TestScripts(t *testing.T) {
	second := time.Second
	tests := []struct {
		name   string
		script simproc.Script
		stop   time.Duration // 0: not stopped
		want   string
		after  time.Duration // begun to ended
	}{
		{"exit", simproc.Script{Latency: second, Exit: true, ExitAfter: second, Code: 2}, 0, " spawned up exited:2", 2 * second},
		{"exit before up", simproc.Script{UpAfter: 2 * second, Exit: true, ExitAfter: second}, 0, " spawned exited:0", second},
		{"crash", simproc.Script{Crashes: 1, CrashAfter: second}, 0, " spawned up exited:1", second},
		{"fail", simproc.Script{Latency: second, Fail: "no"}, 0, " failed", second},
		{"stop", simproc.Script{StopTime: second}, second, " spawned up exited:SIGTERM0", 2 * second},
		{"stop before it executes", simproc.Script{Latency: 2 * second}, second, " failed", second},
		{"hang", simproc.Script{Hang: true}, second, " spawned up exited:SIGKILL0", 6 * second},
		{"slow stop", simproc.Script{StopTime: time.Hour}, second, " spawned up exited:SIGKILL0", 6 * second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := simproc.NewWorld()
				w.Script("a", tt.script)
				tab := w.Table("n1")
				l := launch("a", 1)
				if err := tab.Start(l); err != nil {
					t.Fatal(err)
				}
				if tab.Start(l) == nil {
					t.Error("started twice")
				}
				if tt.stop > 0 {
					time.Sleep(tt.stop)
					tab.Stop(l.Ref, "test")
				}
				time.Sleep(time.Minute)
				if got := told(tab); got != tt.want {
					t.Errorf("told%s, want%s", got, tt.want)
				}
				life := w.Lives()[0]
				if d := life.End.Sub(life.Begun); life.End.IsZero() || d != tt.after {
					t.Errorf("ended after %v: %v", d, &life)
				}
			})
		})
	}
}

func TestCrashesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		w.Script("a", simproc.Script{Crashes: 2})
		one, two := w.Table("n1"), w.Table("n2")
		for i, tab := range []*simproc.Table{one, two, one} { // counted over nodes
			if err := tab.Start(launch("a", uint64(i+1))); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Running(); len(got) != 1 || got[0].Epoch != 3 {
			t.Errorf("running: %v", got)
		}
	})
}

func TestKillAllTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		w.Script("b", simproc.Script{Latency: time.Second})
		tab := w.Table("n1")
		tab.Start(launch("a", 1))
		tab.Start(launch("b", 1))
		time.Sleep(time.Millisecond)
		tab.KillAll()
		time.Sleep(time.Minute)
		if got := told(tab); got != "" || len(tab.Live()) != 0 || len(w.Running()) != 0 {
			t.Errorf("told%s; alive: %v, %v", got, tab.Live(), w.Running())
		}
		if tab.Start(launch("a", 2)) != nil || told(tab) != " spawned up" || !tab.Kill("a", "SIGKILL") {
			t.Error("the table cannot be used again")
		}
	})
}

func TestOracles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		one, two := w.Table("n1"), w.Table("n2")
		one.Start(launch("a", 1))
		time.Sleep(time.Second)
		two.Start(launch("a", 2))
		if len(w.Overlaps(false)) != 0 || len(w.Overlaps(true)) != 1 || len(w.Repeats()) != 0 {
			t.Errorf("overlaps: %v and %v, repeats: %v", w.Overlaps(false), w.Overlaps(true), w.Repeats())
		}
		one.Start(launch("a", 3))
		time.Sleep(time.Second)
		one.Kill("a", "SIGKILL")
		one.Start(launch("a", 1))
		if len(w.Overlaps(false)) != 1 || len(w.Repeats()) != 1 {
			t.Errorf("overlaps: %v, repeats: %v", w.Overlaps(false), w.Repeats())
		}
	})
}
