package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/supervisor"
)

// ms is a moment of the made-up runs here, in milliseconds.
func ms(n int) history.Time { return history.Time(n) * history.Time(time.Millisecond) }

// good is a run that every checker accepts: 20 s, one fault from 5 s to 10 s at
// node n1, where the exclusive child solo/a and the permanent steady/a were.
func good() *Input {
	in := &Input{
		Run: history.Run{
			Workload: "made", Nemeses: []string{"kill"}, Profile: "lan", Nodes: []string{"n1", "n2", "n3"},
			Began: ms(0), Faults: ms(2000), Healed: ms(10_000), Settled: ms(11_000), Ended: ms(20_000), Killed: ms(21_000),
			Children: []history.Child{
				{Path: "solo/a", Exclusive: true, Permanent: true}, {Path: "steady/a", Permanent: true},
				{Path: "storm/a", Restarts: 2, Period: 4 * time.Second},
				{Path: "band/a", Exclusive: true, Group: "band", Place: 0}, {Path: "band/b", Exclusive: true, Group: "band", Place: 1},
			},
		},
		Faults: []history.Fault{{
			Nemesis: "kill-node", What: "n1 killed", Nodes: []string{"n1"}, Start: ms(5000), End: ms(10_000),
			Evidence: map[string]uint64{"nodes killed": 1},
			Effects:  []history.Effect{{Kind: history.CutOff, Nodes: []string{"n1"}, From: ms(5001), To: ms(9_999)}},
		}},
		Read: 1, Leaders: []Leader{{"n1", 2}, {"n2", 3}},
		Log: history.Log{Complete: true, Common: 900},
	}
	in.lifes()
	in.operations()
	in.decisions()
	in.probes()
	for _, n := range in.Run.Nodes {
		d := history.Disk{Node: n, First: 1, Last: 900, State: "s"}
		for i := uint64(1); i <= 900; i++ {
			d.Entries = append(d.Entries, history.Entry{Index: i, Term: 2, Hash: fmt.Sprint(i)})
		}
		in.Log.Disks = append(in.Log.Disks, d)
		in.Samples = append(in.Samples,
			history.Sample{Time: ms(1000), Node: n, Files: 40, Threads: 10, Memory: 30 << 20},
			history.Sample{Time: ms(19_000), Node: n, Files: 44, Threads: 11, Memory: 40 << 20})
	}
	return in
}

// live adds a life that is here every 200 ms; term is when it is asked to stop, 0
// for never.
func (in *Input) live(child, node string, epoch uint64, from, to, term int) {
	n := 0
	for _, b := range in.Beats {
		n = max(n, b.Life)
	}
	n++
	put := func(at int, kind history.BeatType) {
		in.Beats = append(in.Beats, history.Beat{Time: ms(at), Type: kind, Life: n})
	}
	in.Beats = append(in.Beats, history.Beat{
		Time: ms(from), Type: history.Born, Life: n, Child: child, Node: node, Epoch: epoch << 16, Generation: 1, PID: 100 + n,
	})
	for at := from; at < to; at += 200 {
		put(at, history.Here)
	}
	if term > 0 {
		put(term, history.Term)
	}
	put(to, history.Here)
	put(to+1, history.Gone)
}

func (in *Input) lifes() {
	in.live("solo/a", "n1", 10, 100, 5000, 0)
	in.live("solo/a", "n2", 50, 9500, 20_500, 0)
	in.live("steady/a", "n1", 11, 100, 5000, 0)
	in.live("steady/a", "n3", 51, 6000, 20_500, 0)
	for batch := range 4 { // b stops before a, a starts before b
		at, epoch := batch*4000, uint64(20+100*batch)
		in.live("band/a", "n2", epoch, at+100, at+3900, at+3800)
		in.live("band/b", "n3", epoch, at+200, at+3700, at+3600)
	}
	in.Attempts = append(in.Attempts,
		history.Attempt{Child: "solo/a", Life: 1, Generation: 1, Epoch: 10 << 16, Accepted: true, Value: 1},
		history.Attempt{Child: "solo/a", Life: 2, Generation: 1, Epoch: 50 << 16, Accepted: true, Value: 2},
		history.Attempt{Child: "solo/a", Life: 1, Generation: 1, Epoch: 10 << 16, Accepted: false, Value: 2})
	for i := range 12 {
		in.Log.Records = append(in.Log.Records, history.Record{Index: uint64(i + 1), N: 0})
		in.Seen = append(in.Seen, history.Seen{Subscriber: 0, Node: "n1", Index: uint64(i + 1)})
	}
}

// op adds an operation that takes 10 ms, and its command to the log.
func (in *Input) op(at int, node string, kind history.Kind, key, value string, end history.OpType) *history.Op {
	id := fmt.Sprintf("jl-%d", len(in.Ops))
	op := history.Op{Time: ms(at), Type: history.Invoke, Process: 1, ID: id, Node: node, Kind: kind, Key: key, Value: value}
	in.Ops = append(in.Ops, op)
	op.Time, op.Type = ms(at+10), end
	in.Ops = append(in.Ops, op)
	if changes(kind) && end == history.OK {
		in.Log.Commands = append(in.Log.Commands, history.Command{Index: uint64(at / 100), By: id, Request: id, Type: "apply"})
	}
	return &in.Ops[len(in.Ops)-1]
}

// swap adds a swap of reg-0; one that failed was refused for its value.
func (in *Input) swap(at int, expect, value string, end history.OpType) {
	answer := in.op(at, "n3", history.Swap, "reg-0", value, end)
	answer.Expect, in.Ops[len(in.Ops)-2].Expect = expect, expect
	if end == history.Fail {
		answer.Error = history.Conflict
	}
}

// probes are answers every 250 ms: n1 finds out after 3 s that it is cut off, and is
// well again 2 s after the cut.
func (in *Input) probes() {
	for at := 0; at < 20_000; at += 250 {
		for _, n := range in.Run.Nodes {
			p := history.Probe{Time: ms(at), Answered: ms(at + 2), Node: n, Status: 200, Says: "ok", Leader: "n2"}
			if n == "n1" && at > 8000 && at < 12_000 {
				p.Status, p.Says, p.Leader = 503, "no_leader", ""
			}
			in.Probes = append(in.Probes, p)
		}
	}
}

// busyAtFirst is a time before the first sample in which n1 got no processor.
func (in *Input) busyAtFirst(from, to int) {
	in.Samples = slices.Insert(in.Samples, 0, history.Sample{Node: "n1", Time: ms(from)},
		history.Sample{Node: "n1", Time: ms(to), Waited: 400 * time.Millisecond})
	for i := range in.Samples[2:] {
		if s := &in.Samples[2+i]; s.Node == "n1" {
			s.Waited = 400 * time.Millisecond
		}
	}
}

// says changes what a node said between two moments.
func (in *Input) says(node string, from, to, status int, word, leader string) {
	for i := range in.Probes {
		if p := &in.Probes[i]; p.Node == node && p.Time >= ms(from) && p.Time <= ms(to) {
			p.Status, p.Says, p.Leader = status, word, leader
		}
	}
}

func (in *Input) operations() {
	for i := range 10 {
		value := fmt.Sprint(i)
		in.op(100+100*i, "n1", history.Write, "reg-0", value, history.OK)
		in.op(150+100*i, "n2", history.Read, "reg-0", value, history.OK)
	}
	in.op(3000, "n2", history.Add, "set", "e1", history.OK)
	in.op(3100, "n2", history.Add, "set", "e2", history.Fail).Error = "busy"
	in.op(7000, "n1", history.Look, "", "", history.Fail) // cut off
	in.op(7000, "n2", history.Stop, "toggled/a", "", history.OK)
	in.op(9000, "n2", history.Start, "toggled/a", "", history.OK)
	for i := range 8 {
		in.op(12_000+100*i, "n2", history.Look, "", "", history.OK)
	}
	list := in.op(20_000, "n1", history.List, "set", "", history.OK)
	list.Values, list.Final = []string{"e1"}, true
	in.Ops[len(in.Ops)-2].Final = true
}

// charge adds a charged restart of storm/a.
func (in *Input) charge(at int, used int) {
	index := uint64(at / 10)
	s := supervisor.Stamp{Index: index, Time: time.Duration(at) * time.Millisecond}
	in.Log.Decisions = append(in.Log.Decisions, supervisor.Decision{
		Stamp: s, Path: "storm/a", Verdict: supervisor.VerdictRestart, Epoch: s.Epoch(),
		Before: supervisor.Budget{Used: used - 1, Max: 2}, After: supervisor.Budget{Used: used, Max: 2},
	})
	in.Log.Ends = append(in.Log.Ends, history.End{Index: index, Path: "storm/a", Epoch: supervisor.Epoch(index), Decided: true})
}

// alone adds what a node told of storm/a.
func (in *Input) alone(at int, before, after int) {
	in.Log.Decisions = append(in.Log.Decisions, supervisor.Decision{
		Stamp: supervisor.Stamp{Index: uint64(at / 10), Time: time.Duration(at) * time.Millisecond}, Path: "storm/a",
		Verdict: supervisor.VerdictRestart, Cause: supervisor.Cause{Kind: supervisor.CauseAutonomy},
		Before: supervisor.Budget{Used: before, Max: 2}, After: supervisor.Budget{Used: after, Max: 2},
	})
}

func (in *Input) escalate(at int, used int) {
	in.Log.Decisions = append(in.Log.Decisions, supervisor.Decision{
		Stamp: supervisor.Stamp{Index: uint64(at / 10), Time: time.Duration(at) * time.Millisecond}, Path: "storm/a", Verdict: supervisor.VerdictEscalate,
		Before: supervisor.Budget{Used: used, Max: 2}, After: supervisor.Budget{Used: used, Max: 2},
	})
}

// born adds a short life with a reason.
func (in *Input) born(child string, epoch uint64, at int, reason string) {
	n := len(in.Beats)
	in.live(child, "n3", epoch, at, at+200, 0)
	in.Beats[n].Reason = reason
}

func (in *Input) decisions() {
	in.born("storm/a", 900, 2000, "crash")
	in.charge(1000, 1)
	in.charge(5000, 2) // the window is inclusive: the first still counts
	in.escalate(5000, 2)
	in.charge(9500, 1)
}

// TestCheckers breaks the good run in one way at a time: the named checker finds
// it, by the words given.
func TestCheckers(t *testing.T) {
	for _, tt := range []struct {
		checker, name string
		spoil         func(*Input)
		want          string // "" is valid
	}{
		{"evidence", "no trace", func(in *Input) { in.Faults[0].Evidence = map[string]uint64{"nodes killed": 0} }, "left no trace"},
		{"evidence", "a nemesis that never struck", func(in *Input) { in.Run.Nemeses = append(in.Run.Nemeses, "pause") }, "pause never struck"},
		{"evidence", "a pair of which only one part ever struck", func(in *Input) { in.Run.Nemeses = append(in.Run.Nemeses, "partition+kill") }, "partition+kill never struck"},
		{"evidence", "a pair", func(in *Input) {
			in.Run.Nemeses = []string{"partition+kill-node"}
			in.Faults[0].With = "partition-one+kill-node"
		}, ""},
		{"evidence", "a pair does not do for its part", func(in *Input) { in.Faults[0].With = "partition-one+kill-node" }, "kill never struck"},
		{"evidence", "nothing succeeded", func(in *Input) { in.Ops = nil }, "0 operations succeeded"},

		{"linearizable", "a stale read", func(in *Input) { in.op(1500, "n3", history.Read, "reg-0", "8", history.OK) }, "reg-0"},
		{"linearizable", "a value from nowhere", func(in *Input) { in.op(1500, "n3", history.Read, "reg-0", "99", history.OK) }, "reg-0"},
		{"linearizable", "a refused write that shows", func(in *Input) {
			in.op(1200, "n3", history.Write, "reg-0", "99", history.Fail)
			in.op(1500, "n3", history.Read, "reg-0", "99", history.OK)
		}, "reg-0"},
		{"linearizable", "an unknown write that shows late", func(in *Input) {
			op := in.op(1200, "n3", history.Write, "reg-0", "99", history.Info)
			in.Log.Commands = append(in.Log.Commands, history.Command{By: op.ID, Request: "r"})
			in.op(1500, "n3", history.Read, "reg-0", "9", history.OK)
			in.op(2500, "n3", history.Read, "reg-0", "99", history.OK)
		}, ""},
		{"linearizable", "an unknown write that the log lacks and that shows", func(in *Input) {
			in.op(1200, "n3", history.Write, "reg-0", "99", history.Info)
			in.op(2500, "n3", history.Read, "reg-0", "99", history.OK)
		}, "reg-0"},
		{"linearizable", "a read after a delete", func(in *Input) {
			in.op(1500, "n3", history.Delete, "reg-0", "", history.OK)
			in.op(1600, "n3", history.Read, "reg-0", "", history.OK)
		}, ""},
		{"linearizable", "swaps done and refused", func(in *Input) {
			in.swap(1500, "9", "99", history.OK)
			in.swap(1600, "9", "98", history.Fail)
			in.op(1700, "n3", history.Read, "reg-0", "99", history.OK)
		}, ""},
		{"linearizable", "a swap done on another value", func(in *Input) {
			in.swap(1500, "8", "99", history.OK)
			in.swap(1600, "8", "98", history.Fail)
		}, "reg-0"},
		{"linearizable", "a swap refused on its value", func(in *Input) {
			in.swap(1500, "9", "99", history.OK)
			in.swap(1600, "99", "98", history.Fail)
		}, "reg-0"},
		{"linearizable", "two swaps done on one value", func(in *Input) {
			in.swap(1500, "9", "99", history.OK)
			in.swap(1600, "9", "98", history.OK)
			in.swap(1700, "9", "97", history.Fail)
		}, "reg-0"},
		{"linearizable", "no swap was ever refused", func(in *Input) { in.swap(1500, "9", "99", history.OK) }, "vacuous"},
		{"linearizable", "nothing to judge", func(in *Input) { in.Ops = nil }, "vacuous"},

		{"durability", "an acknowledged command that the log lacks", func(in *Input) { in.Log.Commands = in.Log.Commands[1:] }, "is not in the log"},
		{"durability", "a refused command in the log", func(in *Input) {
			op := in.op(1200, "n3", history.Write, "reg-0", "99", history.Fail)
			in.Log.Commands = append(in.Log.Commands, history.Command{By: op.ID, Request: "r"})
		}, "was refused by n3"},
		{"durability", "a command carried out twice", func(in *Input) {
			in.Log.Commands = append(in.Log.Commands, history.Command{By: in.Log.Commands[0].By, Request: "again"})
		}, "2 times"},
		{"durability", "a lost element", func(in *Input) { in.Ops[len(in.Ops)-1].Values = []string{} }, "lacks e1"},
		{"durability", "a refused element", func(in *Input) { in.Ops[len(in.Ops)-1].Values = []string{"e1", "e2"} }, "has e2"},
		{"durability", "no list at the end", func(in *Input) { in.Ops[len(in.Ops)-2].Final = false }, "not read at the end"},
		{"durability", "a log that is not whole", func(in *Input) { in.Log.Complete = false }, "vacuous"},

		{"overlap", "two at once", func(in *Input) { in.live("solo/a", "n3", 52, 9000, 9600, 0) }, "solo/a ran twice for 100ms"},
		{"overlap", "two at once on one node", func(in *Input) { in.live("solo/a", "n1", 10, 4000, 4500, 0) }, "ran twice"},
		{"overlap", "a moment after a thaw", func(in *Input) { thaw(in, 60) }, ""},
		{"overlap", "too long after a thaw", func(in *Input) { thaw(in, 150) }, "ran twice for 150ms"},
		{"overlap", "a stall excuses nothing without a freeze", func(in *Input) { thaw(in, 60); in.Faults[0].Effects = nil }, "ran twice"},
		{"overlap", "a nemesis called freeze that froze nothing", func(in *Input) {
			thaw(in, 60)
			in.Faults[0].Nemesis, in.Faults[0].Effects = "freeze-node", nil
		}, "ran twice"},
		{"overlap", "a freeze of another node", func(in *Input) { thaw(in, 60); in.Faults[0].Effects[0].Nodes = []string{"n3"} }, "ran twice"},
		{"overlap", "a freeze that was over long before", func(in *Input) { thaw(in, 60); in.Faults[0].Effects[0].To = ms(7000) }, "ran twice"},
		{"overlap", "a life that began while its node was frozen", func(in *Input) {
			thaw(in, 60)
			in.Faults[0].Effects[0].From = ms(50)
		}, "ran twice"},
		{"overlap", "a child that never ran", func(in *Input) {
			in.Run.Children = append(in.Run.Children, history.Child{Path: "solo/b", Exclusive: true})
		}, "solo/b never ran"},

		{"fence", "an old epoch accepted", func(in *Input) {
			in.Attempts = append(in.Attempts, history.Attempt{Child: "solo/a", Life: 1, Generation: 1, Epoch: 10 << 16, Accepted: true, Value: 3})
		}, "was accepted after"},
		{"fence", "a lower generation accepted", func(in *Input) {
			in.Attempts = append(in.Attempts, history.Attempt{Child: "solo/a", Life: 2, Generation: 0, Epoch: 99 << 16, Accepted: true, Value: 3})
		}, "was accepted after"},
		{"fence", "one epoch for two", func(in *Input) {
			in.Attempts = append(in.Attempts, history.Attempt{Child: "solo/a", Life: 1, Generation: 1, Epoch: 50 << 16, Accepted: true, Value: 3})
		}, "is of two nodes"},
		{"fence", "a lost addition", func(in *Input) { in.Attempts[1].Value = 1 }, "at 1 after 2"},
		{"fence", "no addition", func(in *Input) { in.Attempts = nil }, "vacuous"},

		{"intensity", "one too many", func(in *Input) { in.charge(6000, 3) }, "restarted 3 times"},
		{"intensity", "a window that forgot", func(in *Input) { in.charge(9600, 1) }, "but was told 1"},
		{"intensity", "an early escalation", func(in *Input) { in.escalate(9600, 1) }, "escalated at index 960 after 1"},
		{"intensity", "a node that was alone", func(in *Input) { in.alone(9600, 1, 2); in.escalate(9700, 2) }, ""},
		{"intensity", "a node that was alone long ago", func(in *Input) { in.alone(9600, 1, 2); in.charge(9700, 2) }, ""},
		{"intensity", "a node that was alone, forgotten", func(in *Input) { in.alone(9600, 1, 2); in.charge(9700, 1) }, "but was told 1"},
		{"intensity", "an escalation for what is held back", func(in *Input) {
			in.escalate(9600, 1)
			in.Log.Decisions[len(in.Log.Decisions)-1].Before.Held = 1
		}, ""},
		{"intensity", "lives too close together", func(in *Input) {
			for i := range 3 {
				in.born("storm/a", uint64(2000+i), 12_000+1000*i, "crash")
			}
		}, "storm/a began 3 times after crashes within 2s"},
		{"intensity", "lives that a node began alone", func(in *Input) {
			for i := range 3 {
				in.born("storm/a", 1500, 12_000+1000*i, "crash")
			}
		}, "began 3 times"},
		{"intensity", "a supervisor that began anew between", func(in *Input) {
			for i, reason := range []string{"crash", "crash", "retry", "crash", "crash"} {
				in.born("storm/a", uint64(2000+i), 12_000+500*i, reason)
			}
		}, ""},
		{"intensity", "nothing escalated", func(in *Input) { in.Log.Decisions = in.Log.Decisions[:1] }, "no budget was ever spent"},

		{"order", "wrong start order", func(in *Input) {
			in.live("band/a", "n2", 700, 17_000, 18_000, 0)
			in.live("band/b", "n3", 700, 16_500, 18_000, 0)
		}, "before band/a"},
		{"order", "a start before the old one ended", func(in *Input) { in.live("band/b", "n3", 330, 15_000, 16_000, 0) }, "still ran"},
		{"order", "wrong stop order", func(in *Input) {
			in.live("band/a", "n2", 700, 17_000, 18_000, 17_500)
			in.live("band/b", "n3", 700, 17_100, 18_000, 17_900)
		}, "was asked to stop 500ms before"},
		{"order", "a stop because the lease ran out", func(in *Input) {
			in.Faults[0].Start, in.Faults[0].End = ms(17_000), ms(19_000)
			in.live("band/a", "n1", 700, 16_500, 18_000, 17_500)
			in.live("band/b", "n3", 700, 16_600, 20_000, 19_900)
		}, ""},
		{"order", "no groups", func(in *Input) { in.Beats = nil }, "vacuous"},

		{"liveness", "away for too long", func(in *Input) {
			for i := range in.Beats {
				if in.Beats[i].Life == 2 {
					in.Beats[i].Time += ms(5000)
				}
			}
		}, "solo/a did not run for 9.5s"},
		{"liveness", "without a majority time stands still", func(in *Input) {
			for i := range in.Beats {
				if in.Beats[i].Life == 2 {
					in.Beats[i].Time += ms(5000)
				}
			}
			in.Faults[0].Quorum = true
		}, ""},
		{"liveness", "a machine that is too busy", func(in *Input) {
			for i := range in.Beats {
				if in.Beats[i].Life == 2 {
					in.Beats[i].Time += ms(5000)
				}
			}
			in.Samples = append(in.Samples, history.Sample{Node: "n2", Time: ms(7000)},
				history.Sample{Node: "n2", Time: ms(8000), Waited: 400 * time.Millisecond})
		}, ""},
		{"liveness", "never settled", func(in *Input) { in.Run.Settled = 0 }, "not all ran again"},
		{"liveness", "settled late", func(in *Input) { in.Run.Settled, in.Run.Ended = ms(31_000), ms(35_000) }, "only 21s after"},
		{"liveness", "gone at the end", func(in *Input) {
			in.Run.Ended = ms(40_000)
		}, "did not run for 19.5s"},

		{"once", "decided twice", func(in *Input) { in.Log.Ends = append(in.Log.Ends, in.Log.Ends[0]) }, "decided on again"},
		{"once", "an epoch that went back", func(in *Input) { in.charge(100, 1) }, "went back"},
		{"once", "an epoch used twice", func(in *Input) { in.charge(9500, 2) }, "began twice"},
		{"once", "an epoch of two nodes", func(in *Input) { in.live("solo/a", "n3", 10, 15_000, 16_000, 0) }, "began on n1 and on n3"},
		{"once", "nothing decided", func(in *Input) { in.Log.Decisions = nil }, "vacuous"},

		{"equality", "a different entry", func(in *Input) { in.Log.Disks[1].Entries[3].Hash = "x" }, "index 4 of term 2 differs"},
		{"equality", "a different term", func(in *Input) { in.Log.Disks[1].Entries[3].Term = 3 }, "index 4 is of term"},
		{"equality", "an end that gives way", func(in *Input) {
			in.Log.Disks[1].Entries = append(in.Log.Disks[1].Entries, history.Entry{Index: 901, Term: 2, Hash: "a"})
			in.Log.Disks[2].Entries = append(in.Log.Disks[2].Entries, history.Entry{Index: 901, Term: 3, Hash: "b"})
		}, ""},
		{"equality", "a different state", func(in *Input) { in.Log.Disks[1].State = "x" }, "2 different states"},
		{"equality", "a disk that is behind", func(in *Input) { in.Log.Disks[1].Last = 700 }, "n2 is behind"},
		{"equality", "two leaders", func(in *Input) { in.Leaders = append(in.Leaders, Leader{"n3", 3}) }, "term 3 had two leaders"},
		{"equality", "a disk that cannot be read", func(in *Input) { in.Log.Disks[1].Error = "torn" }, "cannot be read"},

		{"watch", "a repeat", func(in *Input) { in.Seen = append(in.Seen, in.Seen[5]) }, "again or late"},
		{"watch", "a gap", func(in *Input) { in.Seen = append(in.Seen[:5:5], in.Seen[6:]...) }, "without the 1 before it"},
		{"watch", "from nowhere", func(in *Input) { in.Seen[4].N = 7 }, "not in the log"},
		{"watch", "two tales", func(in *Input) {
			in.Seen = append(in.Seen, in.Seen...)
			for i := range 12 {
				in.Seen[12+i].Subscriber = 1
			}
			in.Seen[15].Sentence = "other"
		}, "to another"},
		{"watch", "an end that never came", func(in *Input) { in.Seen = in.Seen[:11]; in.Ops[0].Index = 500 }, "never got the last 1"},
		{"watch", "nobody", func(in *Input) { in.Seen = nil }, "vacuous"},

		{"stopped", "a life after the stop", func(in *Input) { in.live("toggled/a", "n3", 75, 8000, 8500, 0) }, "was stopped, and began on n3"},
		{"stopped", "a life after the start", func(in *Input) { in.live("toggled/a", "n3", 95, 9500, 9800, 0) }, ""},
		{"stopped", "a decision after the stop", func(in *Input) {
			s := supervisor.Stamp{Index: 75}
			in.Log.Decisions = append(in.Log.Decisions, supervisor.Decision{Stamp: s, Path: "toggled/a", Verdict: supervisor.VerdictRestart, Epoch: s.Epoch()})
		}, "decided to begin at index 75"},
		{"stopped", "nothing stopped", func(in *Input) { in.Ops = nil }, "vacuous"},

		{"minority", "acknowledged alone", func(in *Input) { in.op(8000, "n1", history.Write, "reg-1", "9", history.OK) }, "n1, cut off with [n1], acknowledged"},
		{"minority", "answered by the majority", func(in *Input) { in.op(8000, "n2", history.Write, "reg-1", "9", history.OK) }, ""},
		{"minority", "answered while the cut was not yet", func(in *Input) {
			in.Faults[0].Effects[0].From = ms(8500)
			in.op(8000, "n1", history.Write, "reg-1", "9", history.OK)
			in.op(9100, "n1", history.Write, "reg-1", "9", history.Fail)
		}, ""},
		{"minority", "on its way at the cut", func(in *Input) { in.op(5100, "n1", history.Write, "reg-1", "9", history.OK) }, ""},
		{"minority", "nobody cut off", func(in *Input) { in.Faults[0].Effects = nil }, "vacuous"},

		{"nofalsedeath", "a fault that kills", nil, "vacuous"},
		{"nofalsedeath", "benign", func(in *Input) { in.Faults[0].Benign = true }, ""},
		{"nofalsedeath", "a lost node", func(in *Input) {
			in.Faults[0].Benign = true
			in.Log.Commands = append(in.Log.Commands, history.Command{Type: "lost", By: "n1", Request: "silent", Index: 4})
		}, "node n1 was lost"},
		{"nofalsedeath", "a move", func(in *Input) {
			in.Faults[0].Benign = true
			in.Log.Decisions[0].Cause.Kind = supervisor.CauseNodeLost
		}, "at index 100"},

		{"availability", "refused for good", func(in *Input) {
			for i := range 8 {
				in.op(15_000+100*i, "n2", history.Look, "", "", history.Fail)
			}
		}, "8 of 16"},
		{"availability", "nobody asked", func(in *Input) { in.Ops = nil }, "vacuous"},

		{"resources", "descriptors leak", func(in *Input) { in.Samples[1].Files = 400 }, "400 files"},
		{"resources", "threads leak", func(in *Input) { in.Samples[1].Threads = 400 }, "400 threads"},
		{"resources", "memory leaks", func(in *Input) { in.Samples[1].Memory = 1 << 30 }, "1024 MiB"},
		{"resources", "no sample", func(in *Input) { in.Samples = nil }, "vacuous"},

		{"refusals", "a fault of its own", func(in *Input) {
			in.op(9000, "n2", history.Look, "crowd", "", history.Info).Error = "internal"
		}, "by n2 with a fault of its own"},
		{"refusals", "nobody was too busy", func(in *Input) {
			for i := range in.Ops {
				if in.Ops[i].Error == "busy" {
					in.Ops[i].Error = "no_leader"
				}
			}
		}, "nobody was told that a node is too busy"},
		{"refusals", "none at all", func(in *Input) { in.Ops = nil }, "told that a node is too busy"},
		{"refusals", "no addition refused", func(in *Input) {
			for i := range in.Ops {
				if in.Ops[i].Value == "e2" {
					in.Ops[i].Kind = history.Look
				}
			}
		}, "no addition to the set was refused"},

		{"health", "ready though cut off", func(in *Input) { in.says("n1", 9500, 9500, 200, "ok", "n2") }, "n1 said at 9500000000 that it hears the leader n2, cut off"},
		{"health", "ready while it cannot know yet", func(in *Input) { in.says("n1", 5000, 8900, 200, "ok", "n2") }, ""},
		{"health", "not ready though left alone", func(in *Input) { in.says("n3", 17_000, 17_000, 503, "no_leader", "") }, `n3 said "no_leader" (503) at 17000000000, though all faults were long over`},
		{"health", "silent though left alone", func(in *Input) { in.says("n3", 17_000, 17_000, 0, "timeout", "") }, `n3 said "timeout" (0)`},
		{"health", "ready without a leader", func(in *Input) { in.says("n3", 17_000, 17_000, 200, "ok", "") }, `n3 said "ok" (200)`},
		{"health", "too busy to say", func(in *Input) { in.says("n3", 17_000, 17_000, 503, "busy", "") }, ""},
		{"health", "not ready while a fault is in force", func(in *Input) { in.says("n3", 6000, 14_500, 503, "no_leader", "") }, ""},
		{"health", "an agent that its keeper lets rest", func(in *Input) {
			in.Faults[0].Down = true
			in.says("n1", 10_000, 15_500, 503, "no_leader", "")
			in.says("n3", 15_000, 15_500, 0, "refused", "")
		}, ""},
		{"health", "an agent that rests for too long", func(in *Input) {
			in.Faults[0].Down = true
			in.says("n1", 10_000, 20_000, 503, "no_leader", "")
		}, "n1, cut off until 10000000000, did not say within 10s"},
		{"health", "ready again too late", func(in *Input) { in.says("n1", 10_000, 14_900, 503, "no_leader", "") }, "n1, cut off until 10000000000, did not say within 5s"},
		{"health", "ready again late, as a fault came", func(in *Input) {
			in.says("n1", 10_000, 14_900, 503, "no_leader", "")
			in.Faults = append(in.Faults, history.Fault{Nemesis: "kill-node", Start: ms(12_000), End: ms(19_000)})
		}, ""},
		{"health", "not ready on a machine that is too busy", func(in *Input) {
			in.says("n3", 17_000, 17_000, 503, "no_leader", "")
			in.Samples = append(in.Samples, history.Sample{Node: "n2", Time: ms(15_000)},
				history.Sample{Node: "n2", Time: ms(16_000), Waited: 400 * time.Millisecond})
		}, ""},
		{"health", "not ready before any fault", func(in *Input) { in.says("n3", 1000, 1000, 503, "no_leader", "") }, "though no fault had come yet and nobody saw the machine too busy"},
		{"health", "not ready before any fault, long after the machine was busy", func(in *Input) {
			in.busyAtFirst(-5000, -4500)
			in.says("n3", 1000, 1000, 503, "no_leader", "")
		}, "though no fault had come yet"},
		{"health", "not ready before any fault on a machine that is too busy", func(in *Input) {
			in.busyAtFirst(-1000, 0)
			in.says("n3", 1000, 1000, 503, "no_leader", "")
		}, ""},
		{"health", "not ready once, on a machine that is always too busy", func(in *Input) {
			in.Samples = nil
			for s := range 21 {
				in.Samples = append(in.Samples, history.Sample{Node: "n1", Time: ms(1000 * s), Waited: time.Duration(s) * 400 * time.Millisecond})
			}
			in.says("n3", 17_000, 17_000, 503, "no_leader", "")
		}, ""},
		{"health", "never ready, on a machine that is always too busy", func(in *Input) {
			in.busyAtFirst(-1000, 20_000)
			in.Samples[1].Waited = 10 * time.Second
			for _, n := range in.Run.Nodes {
				in.says(n, 0, 20_000, 503, "no_leader", "")
			}
		}, "no node was asked while all was well"},
		{"health", "nobody asked while all was well", func(in *Input) { in.Faults[0].Start, in.Faults[0].End = 0, ms(20_000) }, "no node was asked while all was well"},
		{"health", "the cut off say nothing", func(in *Input) {
			in.says("n1", 5000, 10_000, 0, "timeout", "")
			in.Faults[0].Effects[0].From = ms(3000)
		}, "no node that was cut off for long"},
		{"health", "the cut off and killed say nothing", func(in *Input) {
			in.says("n1", 5000, 10_000, 0, "timeout", "")
			in.Faults[0].Effects[0].From, in.Faults[0].With = ms(3000), "partition-one+kill-node"
		}, ""},
		{"health", "nobody asked at all", func(in *Input) { in.Probes = nil }, "vacuous"},

		{"logs", "a panic", func(in *Input) { in.line("n1", "panic: runtime error: index out of range") }, "n1: panic"},
		{"logs", "a race", func(in *Input) { in.line("n1", "WARNING: DATA RACE") }, "DATA RACE"},
		{"logs", "no logs", func(in *Input) { in.Read = 0 }, "vacuous"},
	} {
		t.Run(tt.checker+"/"+tt.name, func(t *testing.T) {
			c, ok := Find(tt.checker)
			if !ok {
				t.Fatal("there is no such checker")
			}
			if tt.checker != "nofalsedeath" {
				if v := c.Check(good()); !v.Valid {
					t.Fatalf("the good run: %v", v.Findings)
				}
			}
			in := good()
			if tt.spoil != nil {
				tt.spoil(in)
			}
			switch v := c.Check(in); {
			case tt.want == "" && !v.Valid:
				t.Errorf("found %v", v.Findings)
			case tt.want != "" && (v.Valid || !strings.Contains(strings.Join(v.Findings, "\n"), tt.want)):
				t.Errorf("found %q, want %q", v.Findings, tt.want)
			}
		})
	}
}

// thaw makes of the fault a freeze of n1 from 5 s to 10 s: solo/a goes on there
// for some milliseconds after it.
func thaw(in *Input, last int) {
	in.Faults[0].Effects = []history.Effect{{Kind: history.Frozen, Nodes: []string{"n1"}, From: ms(5001), To: ms(10_000)}}
	for _, at := range []int{10_000, 10_000 + last} {
		in.Beats = append(in.Beats, history.Beat{Time: ms(at), Type: history.Here, Life: 1})
	}
}

// TestAll judges by names, and refuses one that nobody has.
func TestAll(t *testing.T) {
	in := good()
	in.Run.Checkers = []string{"overlap", "nonsense"}
	if _, err := All(in); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v", err)
	}
	in.Run.Checkers = in.Run.Checkers[:1]
	if all, err := All(in); err != nil || len(all) != 1 || !all[0].Valid || all[0].Get("lives") != 10 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestReadiness: each answer counts for what it is.
func TestReadiness(t *testing.T) {
	c, _ := Find("health")
	v := c.Check(good())
	for name, want := range map[string]int64{
		"answers": 240, "not ready while cut off": 3, "ready again after a cut": 1, "longest until ready again, ms": 2002, "busy": 0,
		"ready while well": 3 * (20 + 20),
	} {
		if got := v.Get(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// TestReadinessOfPairs: what comes with a fault is no further fault, and the node has
// its time from the end of both.
func TestReadinessOfPairs(t *testing.T) {
	c, _ := Find("health")
	in := good()
	in.Faults[0].With = "partition-one+pause-agent"
	pause := in.Faults[0]
	pause.Nemesis, pause.Effects, pause.End = "pause-agent", nil, ms(11_000)
	in.Faults = append(in.Faults, pause)
	v := c.Check(in)
	if !v.Valid || v.Get("ready again after a cut") != 1 || v.Get("longest until ready again, ms") != 1002 {
		t.Errorf("%+v", v)
	}
}

// TestRecoveries tells what a fault cost, apart for exclusive children.
func TestRecoveries(t *testing.T) {
	got := fmt.Sprint(good().Recoveries())
	if want := "[{kill-node true 1 4.5s 4.5s} {kill-node false 1 1s 1s}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
