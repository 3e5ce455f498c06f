package simtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"
)

// TestSim runs many plans; see the package comment.
func TestSim(t *testing.T) {
	if seed, ok := number(t, "SELFWARE_SEED"); ok {
		runShown(t, draw(seed))
		return
	}
	seeds := uint64(160)
	if testing.Short() {
		seeds = 16
	}
	if n, ok := number(t, "SELFWARE_SEEDS"); ok {
		seeds = n
	}
	total := runSeeds(t, "dense", 0, seeds, draw)
	if seeds >= 100 {
		total.mustNotBeEmpty(t)
		total.mustHaveBitten(t)
	}
}

// TestDays runs quiet hours with a fault now and then: what only time brings about.
func TestDays(t *testing.T) {
	const daySeeds = 24
	seeds := uint64(daySeeds)
	if testing.Short() {
		t.Skip("simulates days")
	}
	if n, ok := number(t, "SELFWARE_DAYS"); ok {
		seeds = n * 3
	}
	total := runSeeds(t, "days", 0, seeds, drawDay)
	if seeds >= daySeeds {
		total.mustHaveBitten(t)
	}
}

// TestSoak runs fresh seeds, dense ones and days, for SELFWARE_HOURS.
func TestSoak(t *testing.T) {
	hours, ok := number(t, "SELFWARE_HOURS")
	if !ok {
		t.Skip("SELFWARE_HOURS is not set")
	}
	end := time.Now().Add(time.Duration(hours) * time.Hour)
	from := uint64(time.Now().Unix()) * 1_000_000
	var all outcome
	for batch := uint64(0); time.Now().Before(end) && !t.Failed(); batch++ {
		all.add(runSeeds(t, "dense", from+batch*200, 200, draw))
		all.add(runSeeds(t, "days", from+batch*6, 6, drawDay))
	}
	t.Logf("in all %.2f days; %v", all.simulated.Hours()/24, all)
}

// TestPlan runs the plan that SELFWARE_PLAN names, as a failure prints it.
func TestPlan(t *testing.T) {
	file := os.Getenv("SELFWARE_PLAN")
	if file == "" {
		t.Skip("SELFWARE_PLAN names no file")
	}
	runShown(t, readPlan(t, file))
}

// TestReplay is for internal/simtest/overlay: it runs one plan where chance has a seed
// of its own, and tells the hash of the trace.
func TestReplay(t *testing.T) {
	seed, ok := number(t, "SELFWARE_REPLAY")
	if !ok {
		t.Skip("SELFWARE_REPLAY is not set")
	}
	p := draw(seed)
	if os.Getenv("SELFWARE_REPLAY_DAYS") == "1" {
		p = drawDay(seed)
	}
	if file := os.Getenv("SELFWARE_PLAN"); file != "" {
		p = readPlan(t, file)
	}
	cryptotest.SetGlobalRandom(t, seed)
	out := runPlan(t, p, false)
	fmt.Printf("\ntrace %016x after %v, %d records\n", out.trace, out.simulated, out.counts.records)
}

// TestCorpus runs the plans that once failed.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("corpus/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			runPlan(t, readPlan(t, file), false)
		})
	}
}

func runShown(t *testing.T, p Plan) {
	fmt.Fprintln(os.Stderr, p)
	out := runPlan(t, p, true)
	t.Logf("seed %d: %v", p.Seed, out)
}

// runSeeds runs the plans of n seeds after from.
func runSeeds(t *testing.T, name string, from, n uint64, draw func(uint64) Plan) (total outcome) {
	began := time.Now()
	var mu sync.Mutex
	shrunk := 0
	t.Run(name, func(t *testing.T) {
		for seed := from + 1; seed <= from+n; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				p := draw(seed)
				t.Cleanup(func() {
					if t.Failed() {
						mu.Lock()
						shrunk++
						first := shrunk <= 2
						mu.Unlock()
						report(t, p, first)
					}
				})
				out := runPlan(t, p, false)
				mu.Lock()
				defer mu.Unlock()
				total.add(out)
			})
		}
	})
	real := time.Since(began)
	t.Logf("%s: %d seeds: %v simulated (%.2f days) in %v (%.0f : 1); %v", name, n, total.simulated.Round(time.Second),
		total.simulated.Hours()/24, real.Round(time.Second), total.simulated.Seconds()/real.Seconds(), total)
	return total
}

func (o *outcome) add(b outcome) {
	o.counts.add(b.counts)
	o.faults.add(b.faults)
	if o.bites == nil {
		o.bites = make(map[string]int)
	}
	for kind, n := range b.bites {
		o.bites[kind] += n
	}
	o.simulated += b.simulated
	o.acked += b.acked
	o.reads += b.reads
	o.ordered += b.ordered
	o.stopped += b.stopped
	o.exclusive += b.exclusive
	o.keepers.Fenced += b.keepers.Fenced
	o.keepers.Adopted += b.keepers.Adopted
	o.keepers.Retold += b.keepers.Retold
	o.healed = max(o.healed, b.healed)
	o.overlap = max(o.overlap, b.overlap)
}

func (o outcome) String() string {
	return fmt.Sprintf("at rest at most %v after the heal; %d requests acknowledged, %d reads verified; %v; %+v; faults that bit: %v; %d exclusive lives, of which the keeper ended %d, longest overlap after a freeze %v; %d lives adopted, %d ends told to another agent; %d pairs in order, %d of stops",
		o.healed, o.acked, o.reads, o.counts, o.faults, fmt.Sprint(o.bites)[len("map"):], o.exclusive, o.keepers.Fenced, o.overlap, o.keepers.Adopted, o.keepers.Retold, o.ordered, o.stopped)
}

func (c *faultCounts) add(d faultCounts) {
	c.agents += d.agents
	c.disks += d.disks
	c.stalled += d.stalled
	c.torn += d.torn
	c.wiped += d.wiped
	c.repeated += d.repeated
	c.resets += d.resets
	c.winners += d.winners
}

// mustNotBeEmpty: a simulation in which nothing happened shows nothing.
func (o outcome) mustNotBeEmpty(t *testing.T) {
	c := o.counts
	for what, n := range map[string]int{
		"elections": c.elections, "nodes lost": c.losses, "pauses": c.pauses, "moves": c.moves, "restarts": c.restarts,
		"escalations": c.escalations, "failed trees": c.failures, "entries compared": c.compared, "entries matched": c.matched, "nodes fenced": c.fenced, "restarts alone": c.alone,
		"reads verified": o.reads, "lives ordered": o.ordered, "stops ordered": o.stopped, "exclusive lives": o.exclusive,
		"exclusive lives ended by their keeper": o.keepers.Fenced, "lives adopted": o.keepers.Adopted, "ends told to another agent": o.keepers.Retold,
	} {
		if n == 0 {
			t.Errorf("no %s in all seeds", what)
		}
	}
}

// mustHaveBitten: every kind of fault did something, at least once.
func (o outcome) mustHaveBitten(t *testing.T) {
	for _, kind := range append(everyKind, "rollback refused") {
		if o.bites[kind] == 0 {
			t.Errorf("no fault %q did anything, in all seeds", kind)
		}
	}
	f := o.faults
	for what, n := range map[string]int{
		"processes ended by their disk": f.disks, "writes stalled": f.stalled, "writes torn": f.torn,
		"messages said again": f.repeated,
	} {
		if n == 0 {
			t.Errorf("no %s in all seeds", what)
		}
	}
}

func number(t *testing.T, key string) (uint64, bool) {
	text := os.Getenv(key)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", key, text)
	}
	return n, true
}

// verbose: scenarios too print their trace and logs.
func verbose() bool { return os.Getenv("SELFWARE_VERBOSE") != "" }
