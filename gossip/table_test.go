package gossip

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func at(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e9)) }

func TestNewestBootCounts(t *testing.T) {
	tb := newTable(Timing(LAN))
	show := func(now float64) (s string) {
		for _, m := range tb.members(at(now)) {
			s += fmt.Sprintf("%s.%s %s conflict=%v; ", m.NodeID, m.BootID, m.State, m.Conflict)
		}
		return s
	}
	check := func(now float64, want string) {
		t.Helper()
		if got := show(now); got != want {
			t.Errorf("at %v: got %q, want %q", now, got, want)
		}
	}
	tb.seen(Meta{NodeID: "a", BootID: "1", BootSeq: 9}, "x", at(1))
	tb.seen(Meta{NodeID: "a", BootID: "2", BootSeq: 10}, "y", at(2))
	check(3, "a.2 alive conflict=false; ")
	check(33, "a.2 alive conflict=true; ")
	tb.lost("a.2", at(40)) // a copy that ran for a while: the node itself counts again
	check(40.1, "a.1 alive conflict=false; ")
	tb.seen(Meta{NodeID: "a", BootID: "2", BootSeq: 10}, "y", at(40))
	tb.lost("a.1", at(40))
	if len(tb.boots) != 1 {
		t.Errorf("the old boot is kept: %v", tb.boots)
	}
	tb.lost("a.2", at(40))
	check(40.1, "a.2 suspect conflict=false; ")
	check(40.5, "a.2 dead conflict=false; ")
	tb.seen(Meta{NodeID: "a", BootID: "2", BootSeq: 10, Leaving: true}, "y", at(42))
	check(42, "a.2 alive conflict=false; ")
	tb.lost("a.2", at(43))
	check(43, "a.2 left conflict=false; ")
	tb.seen(Meta{NodeID: "a", BootID: "0", BootSeq: 11}, "z", at(44))
	tb.clash("a", at(45))
	check(46, "a.0 alive conflict=true; ")
	check(76, "a.0 alive conflict=false; ")
}

func TestDeadMembersAreLimited(t *testing.T) {
	tb := newTable(Timing(LAN))
	for i := range maxDown + 50 {
		id := fmt.Sprintf("n%04d", i)
		tb.seen(Meta{NodeID: id, BootID: "b"}, "x", at(float64(i)))
		tb.lost(gossipName(id, "b"), at(float64(i)))
	}
	all := tb.members(at(1000))
	if len(all) != maxDown || all[0].NodeID != "n0050" {
		t.Errorf("%d members, the first is %s", len(all), all[0].NodeID)
	}
}

func TestLogLevelsAndLimit(t *testing.T) {
	for line, want := range map[string]string{
		"[DEBUG] memberlist: a b\n":       "DEBUG gossip: a b",
		"[INFO] memberlist: a":            "INFO gossip: a",
		"[WARN] memberlist: a":            "WARN gossip: a",
		"[ERR] memberlist: a":             "ERROR gossip: a",
		"[ERROR] memberlist: a":           "ERROR gossip: a",
		"Err: Could not set the deadline": "INFO gossip: Err: Could not set the deadline",
	} {
		level, text := parseLine(line)
		if got := level.String() + " " + text; got != want {
			t.Errorf("%q became %q", line, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newMemberlistLogger(slog.New(slog.NewTextHandler(&out, nil)))
		for range 3 * logLines {
			l.Printf("[ERR] memberlist: flood")
			l.Printf("[DEBUG] memberlist: not wanted")
		}
		time.Sleep(logWindow)
		l.Printf("[ERR] memberlist: after")
		if n := strings.Count(out.String(), "flood"); n != logLines {
			t.Errorf("%d lines of the flood passed", n)
		}
		if !strings.Contains(out.String(), "lines=100") || !strings.Contains(out.String(), "after") {
			t.Errorf("log:\n%s", out.String())
		}
	})
}

func TestProfiles(t *testing.T) {
	for _, p := range []Profile{LAN, Fast, WAN} {
		tm := Timing(p)
		if got, err := ParseProfile(string(p)); got != p || err != nil {
			t.Errorf("%s: %v %v", p, got, err)
		}
		if tm.ProbeTimeout >= tm.ProbeInterval || tm.Conflict < tm.Detect || tm.Confirm < 2*tm.GossipInterval {
			t.Errorf("%s: %+v", p, tm)
		}
	}
	if p, err := ParseProfile(""); p != LAN || err != nil {
		t.Errorf("the empty profile is %q, %v", p, err)
	}
}
