package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/witness"
	"github.com/selfware/selfware/jepsen-lite/workload"
)

const (
	startTime = 90 * time.Second
	// warm is the time before the first fault, calm the least after all has
	// settled.
	warm = 5 * time.Second
	calm = 4 * time.Second
)

// tester is one run.
type tester struct {
	options
	lab     lab.Lab
	run     history.Run
	ops     *history.Stream[history.Op]
	faults  *history.Stream[history.Fault]
	seen    *history.Stream[history.Seen]
	samples *history.Stream[history.Sample]
	probes  *history.Stream[history.Probe]
	witness *witness.Collector
	clients *workload.Clients
	first   int    // nodes at the beginning
	unwatch func() // ends the sampling of what agents use
}

func runCommand(ctx context.Context, args []string) (valid bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	if err := o.buildable(); err != nil {
		return false, err
	}
	if err := o.makeDir(); err != nil {
		return false, err
	}
	t := &tester{options: o}
	if err := t.test(ctx); err != nil {
		return false, err
	}
	return judge(o.dir, o.keep)
}

// makeDir makes the folder for what is found, in place of one with an older run.
func (o *options) makeDir() (err error) {
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	old, err := os.ReadDir(o.dir)
	if err == nil && len(old) > 0 {
		if _, err := os.Stat(filepath.Join(o.dir, history.FileOps)); err != nil {
			return fmt.Errorf("cannot put a run into %s: it holds something else", o.dir)
		}
		if err := os.RemoveAll(o.dir); err != nil {
			return fmt.Errorf("cannot remove the older run in %s: %w", o.dir, err)
		}
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("cannot put a run into %s: %w", o.dir, err)
	}
	return nil
}

// test makes a lab, runs in it, and takes it down.
func (t *tester) test(ctx context.Context) (err error) {
	if t.lab, err = lab.New(t.labConfig()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.lab.Close()) }()
	for _, n := range t.nemeses {
		if !t.lab.Can().Has(n.needs()) {
			return fmt.Errorf("cannot do %s on %s: it needs %v, there is %v", n.asked, t.backend, n.needs(), t.lab.Can())
		}
	}
	t.say("seed %d: %s under %s on %s, %v", t.seed, t.work.Name, t.names(), t.backend, t.length)
	if t.binary != "" && t.labConfig().Clocks {
		t.say("nodes run a build of this module whose clocks can be set, not %s", t.binary)
	}
	t.unwatch = func() {}
	defer func() { t.unwatch() }()
	if err := t.begin(ctx); err != nil {
		return err
	}
	if err := t.trial(ctx); err != nil {
		return err
	}
	return t.finish(ctx)
}

func (t *tester) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (t *tester) names() (names []string) {
	for _, n := range t.nemeses {
		names = append(names, n.asked)
	}
	return names
}

// begin brings up nodes, streams and trees.
func (t *tester) begin(whole context.Context) (err error) {
	ctx, cancel := context.WithTimeout(whole, startTime)
	defer cancel()
	if err := t.lab.Start(ctx); err != nil {
		return fmt.Errorf("cannot bring up the cluster: %w", err)
	}
	t.first = len(t.lab.Nodes())
	if err := t.record(); err != nil {
		return err
	}
	t.unwatch = t.watch(whole)
	t.run = history.Run{
		Workload: t.work.Name, Backend: t.backend, Profile: t.profile, Seed: t.seed, Length: t.length,
		Nemeses: t.names(), Checkers: t.checkers(), Children: t.work.Expect(),
	}
	if t.work.Churn {
		t.run.Nemeses = append(t.run.Nemeses, workload.Churn)
	}
	if t.work.Crowd > 0 {
		t.run.Nemeses = append(t.run.Nemeses, workload.Crowded)
	}
	if err := t.plant(ctx); err != nil {
		return err
	}
	if missing := t.settle(ctx); missing != "" {
		return fmt.Errorf("cannot test: the trees do not run at the beginning: %s", missing)
	}
	return nil
}

// record opens the streams and the witnesses' socket.
func (t *tester) record() (err error) {
	if t.ops, err = history.Create[history.Op](t.dir, history.FileOps); err != nil {
		return err
	}
	if t.faults, err = history.Create[history.Fault](t.dir, history.FileFaults); err != nil {
		return err
	}
	if t.seen, err = history.Create[history.Seen](t.dir, history.FileSeen); err != nil {
		return err
	}
	if t.samples, err = history.Create[history.Sample](t.dir, history.FileResources); err != nil {
		return err
	}
	if t.probes, err = history.Create[history.Probe](t.dir, history.FileProbes); err != nil {
		return err
	}
	t.clients = workload.NewClients(t.work, t.lab, t.seed, t.ops)
	t.witness, err = witness.Collect(t.lab.Witness().Here, socketName, t.dir)
	return err
}

// Names in the folder that nodes share with the tester.
const (
	socketName  = "tester"
	witnessName = "witness"
)

// plant puts the witness program where nodes find it, and applies the trees.
func (t *tester) plant(ctx context.Context) error {
	place := t.lab.Witness()
	me, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(place.Here, witnessName), me, 0o755)
	}
	if err != nil {
		return fmt.Errorf("cannot place the witness: %w", err)
	}
	first := t.lab.Nodes()[0]
	c, err := client.New(client.Config{API: first.URL(), HTTP: first.HTTP()})
	if err != nil {
		return err
	}
	if v, err := c.Version(ctx); err == nil {
		t.run.Binary = v.Version
	}
	for _, tree := range t.work.Trees {
		text := tree.File(filepath.Join(place.There, witnessName), filepath.Join(place.There, socketName))
		if _, err := c.Apply(ctx, tree.Name, text, "jepsen-lite"); err != nil {
			return fmt.Errorf("cannot apply the tree %s: %w", tree.Name, err)
		}
	}
	return nil
}

// trial is the run proper: clients ask, faults come and are healed, all settles.
func (t *tester) trial(ctx context.Context) error {
	asking, quiet := context.WithCancel(ctx)
	defer quiet()
	var all sync.WaitGroup
	t.run.Began = history.Now()
	all.Go(func() { t.clients.Run(asking) })
	all.Go(func() { t.probe(asking) })
	all.Go(func() { workload.Subscribe(asking, t.work.Subscribers, t.lab, t.seen) })
	all.Go(func() { t.crowd(asking) })
	err := t.strikeAll(ctx)
	t.run.Healed = history.Now()
	t.witness.Calm()
	for _, n := range t.lab.Nodes() {
		n.HTTP().CloseIdleConnections() // the crowd's; nodes count them
	}
	if err == nil {
		err = t.recover(ctx)
	}
	t.run.Ended = history.Now()
	t.unwatch()
	quiet()
	all.Wait()
	return err
}

// crowd lets the crowd in for the middle third of the run. It is a fault among the
// others: if nothing was refused it left no trace.
func (t *tester) crowd(ctx context.Context) {
	if t.work.Crowd == 0 || pause(ctx, warm+t.length/3) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.length/3)
	defer cancel()
	f := history.Fault{Nemesis: workload.Crowded, What: "a crowd asks", Start: history.Now()}
	f.Evidence = map[string]uint64{"requests refused": t.clients.Crowd(ctx)}
	f.End = history.Now()
	t.faults.Put(f)
}

// recover waits until everything runs again and every node is alive, and a while
// longer.
func (t *tester) recover(ctx context.Context) error {
	late, cancel := context.WithTimeout(ctx, 3*check.BoundsOf(t.profile).Final)
	defer cancel()
	if err := t.clients.Awaken(late); err != nil {
		t.say("%v", err) // it will be missing, and found so
	}
	missing := t.settle(late)
	if missing == "" {
		missing = t.agents(late)
	}
	if missing == "" {
		if err := t.allAlive(late, len(t.here())); err != nil {
			missing = err.Error()
		}
	}
	if missing == "" {
		t.run.Settled = history.Now()
		t.say("all runs again %v after the last fault", t.run.Settled.Sub(t.run.Healed).Round(time.Millisecond))
	} else {
		t.say("not all runs again: %s", missing)
	}
	return pause(ctx, calm)
}

// pause waits; the error is the context's.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
