package check

import (
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// evidence is about the run itself: it judged something only if each fault left
// a trace, every nemesis struck, and operations succeeded.
func evidence(in *Input, v *Verdict) {
	struck := make(map[string]int)
	traces := uint64(0)
	for _, f := range in.Faults {
		struck[f.Name()]++
		v.need(f.Real(), "%s (%s) left no trace", f.Nemesis, f.What)
		for _, n := range f.Evidence {
			traces += n
		}
	}
	for _, asked := range in.Run.Nemeses {
		n := 0
		for name, times := range struck { // order-free: a sum
			if stands(asked, name) {
				n += times
			}
		}
		v.need(n > 0, "%s never struck", asked)
	}
	ok, failed, unknown := 0, 0, 0
	for _, c := range in.calls() {
		switch c.outcome {
		case history.OK:
			ok++
		case history.Fail:
			failed++
		default:
			unknown++
		}
	}
	v.need(ok >= 20, "%d operations succeeded", ok)
	v.count("faults", len(in.Faults))
	v.count("traces", int(traces))
	v.count("operations ok", ok)
	v.count("failed", failed)
	v.count("unknown", unknown)
}

// stands tells whether a word stands for a nemesis: it is its name or the
// beginning of it, or each part is of those that came at once.
func stands(word, name string) bool {
	words, names := strings.Split(word, "+"), strings.Split(name, "+")
	return slices.EqualFunc(words, names, func(w, n string) bool { return n == w || strings.HasPrefix(n, w+"-") })
}

// availability: once all has settled, requests are answered as before.
func availability(in *Input, v *Verdict) {
	type phase struct{ ok, all int }
	var before, during, after phase
	for _, c := range in.calls() {
		if c.Final {
			continue
		}
		p := &during
		switch {
		case c.Time < in.Run.Faults:
			p = &before
		case in.Run.Settled > 0 && c.Time >= in.Run.Settled:
			p = &after
		}
		p.all++
		if c.outcome == history.OK || c.outcome == history.Fail && (c.answer.Error == "not_found" || c.answer.Error == history.Conflict) {
			p.ok++
		}
	}
	v.need(before.ok > 0, "no operation succeeded before the faults")
	v.need(after.all >= 5, "%d operations after all had settled", after.all)
	if 100*after.ok < 95*after.all {
		v.bad("%d of %d operations succeeded after all had settled", after.ok, after.all)
	}
	for _, p := range []struct {
		name string
		phase
	}{{"before", before}, {"during", during}, {"after", after}} {
		v.count("ok "+p.name, p.ok)
		v.count("asked "+p.name, p.all)
	}
}

// Slack of resources: what may remain over what was used before the faults.
const (
	moreFiles   = 64
	moreThreads = 32
	moreMemory  = 96 << 20
)

// resources compares what agents use at the end with what they used before the
// faults, over all nodes: after a restart a node begins low.
func resources(in *Input, v *Verdict) {
	base, end := history.Sample{}, make(map[string]history.Sample)
	most := history.Sample{}
	for _, s := range in.Samples {
		if s.Time < in.Run.Faults {
			base = larger(base, s)
		}
		if s.Time >= in.Run.Healed {
			end[s.Node] = s // the last counts
		}
		most = larger(most, s)
	}
	for node, s := range end {
		if s.Files > base.Files+moreFiles {
			v.bad("%s has %d files open at the end, before the faults there were up to %d", node, s.Files, base.Files)
		}
		if s.Threads > base.Threads+moreThreads {
			v.bad("%s has %d threads at the end, before the faults there were up to %d", node, s.Threads, base.Threads)
		}
		if s.Memory > 2*base.Memory+moreMemory {
			v.bad("%s has %d MiB at the end, before the faults there were up to %d", node, s.Memory>>20, base.Memory>>20)
		}
	}
	v.need(base.Files > 0, "there is no sample from before the faults")
	v.need(len(end) > 0, "there is no sample from the end")
	v.count("samples", len(in.Samples))
	v.count("most files", most.Files)
	v.count("most threads", most.Threads)
	v.count("most memory, MiB", int(most.Memory>>20))
}

func larger(a, b history.Sample) history.Sample {
	return history.Sample{Files: max(a.Files, b.Files), Threads: max(a.Threads, b.Threads), Memory: max(a.Memory, b.Memory)}
}

// logs looks for what no node may ever write.
func logs(in *Input, v *Verdict) {
	for _, l := range in.Lines {
		v.bad("%s: %s", l.Node, l.Text[:min(len(l.Text), 300)])
	}
	v.need(in.Read > 0, "the nodes wrote no logs")
	v.count("lines", in.Read)
	v.count("alarming", len(in.Lines))
}

// Rates counts operations by outcome in equal parts of the run, for the plot.
func (in *Input) Rates(step time.Duration) (ok, failed, unknown []int) {
	n := int(in.Run.Ended.Sub(in.Run.Began)/step) + 1
	ok, failed, unknown = make([]int, n), make([]int, n), make([]int, n)
	for _, c := range in.calls() {
		i := int(c.Time.Sub(in.Run.Began) / step)
		if i < 0 || i >= n {
			continue
		}
		switch c.outcome {
		case history.OK:
			ok[i]++
		case history.Fail:
			failed[i]++
		default:
			unknown[i]++
		}
	}
	return ok, failed, unknown
}

// Latencies are the operations that succeeded: when they were asked, and for how
// long.
func (in *Input) Latencies() (at []history.Time, took []time.Duration) {
	for _, c := range in.calls() {
		if c.outcome == history.OK {
			at, took = append(at, c.Time), append(took, c.returned.Sub(c.Time))
		}
	}
	return at, took
}

// Lane is a life for the timeline.
type Lane struct {
	Child, Node string
	Epoch       uint64
	From, To    history.Time
}

// Lanes are all lives, by child and birth.
func (in *Input) Lanes() []Lane {
	var all []Lane
	byChild := in.lives()
	paths := make([]string, 0, len(byChild))
	for path := range byChild { // order-free: sorted next
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		for _, l := range byChild[path] {
			all = append(all, Lane{path, l.Node, l.Epoch, l.Time, l.last})
		}
	}
	return all
}
