package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/nemesis"
	"github.com/selfware/selfware/jepsen-lite/workload"
)

// errHelp: help was asked for and given.
var errHelp = flag.ErrHelp

// options are what a run is asked for.
type options struct {
	work    workload.Workload
	nemeses []strike
	nodes   int
	length  time.Duration
	seed    uint64
	backend string
	profile string
	binary  string
	tags    string
	project string
	dir     string
	keep    bool
}

// strike is what one word of --nemesis stands for: a nemesis, all whose names begin
// so, or what can be at once of two such words; one is drawn each time.
type strike struct {
	asked   string
	choices []nemesis.Nemesis
	target  nemesis.Target
}

// needs is what a lab must be able to do for any of the choices.
func (s strike) needs() (needs lab.Caps) {
	for _, n := range s.choices {
		needs |= n.Needs()
	}
	return needs
}

func parse(args []string) (options, error) {
	var o options
	var work, nemeses string
	flags := flag.NewFlagSet("jepsen-lite run", flag.ContinueOnError)
	flags.StringVar(&work, "workload", "", "`NAME` of what the cluster shall do")
	flags.StringVar(&nemeses, "nemesis", "", "`NAMES` of faults, with commas between; NAME:TARGET strikes one, leader, follower, minority, majority or all;\nthe beginning of names, such as partition, stands for any of them; A+B lets two overlap; none does no faults")
	flags.IntVar(&o.nodes, "nodes", 0, "number of nodes (default 5; 3 for compose)")
	flags.DurationVar(&o.length, "time", 60*time.Second, "how long faults may come")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of faults and operations (default: drawn from the time)")
	flags.StringVar(&o.backend, "backend", "netns", "netns, loopback or compose")
	flags.StringVar(&o.profile, "profile", "lan", "profile of the nodes: lan, fast or wan")
	flags.StringVar(&o.binary, "binary", "", "`PATH` of the selfware-node to test (default: it is built; for clock-* always, from the module one stands in)")
	flags.StringVar(&o.tags, "tags", "", "build `TAGS` for a binary that is built")
	flags.StringVar(&o.project, "project", "", "compose `PROJECT` that runs already (default: one of its own)")
	flags.StringVar(&o.dir, "dir", "", "`FOLDER` for what is found")
	flags.BoolVar(&o.keep, "keep", false, "keep the nodes' disks of a valid run too")
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return o, errHelp
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	return o, o.resolve(work, nemeses)
}

// resolve finds what names stand for.
func (o *options) resolve(work, nemeses string) error {
	var ok bool
	if o.work, ok = workload.Find(work); !ok {
		return fmt.Errorf("there is no workload %q%s", work, nearest(work, workloadNames()))
	}
	if o.dir == "" {
		return errors.New("say with --dir where to put what is found")
	}
	for _, p := range [][]string{{"backend", o.backend, "netns", "loopback", "compose"}, {"profile", o.profile, "lan", "fast", "wan"}} {
		if !slices.Contains(p[2:], p[1]) {
			return fmt.Errorf("there is no %s %q%s", p[0], p[1], nearest(p[1], p[2:]))
		}
	}
	if o.length < 10*time.Second {
		return fmt.Errorf("%v is too short to see anything; 10s is the least", o.length)
	}
	if nemeses == "" {
		return errors.New(`say with --nemesis which faults to do; "none" does none`)
	}
	for _, name := range strings.Split(nemeses, ",") {
		s, err := strikeOf(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		o.nemeses = append(o.nemeses, s)
	}
	if least := rhythmOf(o.profile).least(len(o.nemeses)); o.length < least {
		return fmt.Errorf("%v is too short for %d kinds of faults in profile %s: %v is the least", o.length, len(o.nemeses), o.profile, least)
	}
	return nil
}

// strikeOf finds what a word of --nemesis stands for.
func strikeOf(word string) (strike, error) {
	parts := strings.Split(word, "+")
	if len(parts) == 1 {
		return single(word)
	}
	var names []string
	var targets []nemesis.Target
	combined := [][]nemesis.Nemesis{nil}
	for _, part := range parts {
		one, err := single(part)
		if err != nil {
			return one, err
		}
		names, targets = append(names, one.asked), append(targets, one.target)
		var longer [][]nemesis.Nemesis
		for _, c := range combined {
			for _, n := range one.choices {
				longer = append(longer, append(slices.Clone(c), n))
			}
		}
		combined = longer
	}
	return pairs(strings.Join(names, "+"), combined, targets)
}

// pairs are those of the combinations that can be at once.
func pairs(asked string, combined [][]nemesis.Nemesis, targets []nemesis.Target) (strike, error) {
	s := strike{asked: asked}
	var why error
	for _, c := range combined {
		if n, err := nemesis.Together(c, targets); err == nil {
			s.choices = append(s.choices, n)
		} else if why == nil {
			why = err
		}
	}
	if len(s.choices) == 0 {
		return s, why
	}
	return s, nil
}

// single finds what a word without "+" stands for.
func single(word string) (strike, error) {
	name, target, _ := strings.Cut(word, ":")
	targets := []string{"", "one", "leader", "follower", "minority", "majority", "all"}
	if !slices.Contains(targets, target) {
		return strike{}, fmt.Errorf("there is no target %q%s", target, nearest(target, targets[1:]))
	}
	s := strike{asked: name, target: nemesis.Target(target)}
	for _, n := range nemesis.List() {
		if n.Name() == name {
			s.choices = []nemesis.Nemesis{n}
			return s, nil
		}
		if strings.HasPrefix(n.Name(), name+"-") {
			s.choices = append(s.choices, n)
		}
	}
	if len(s.choices) == 0 {
		return s, fmt.Errorf("there is no nemesis %q%s", name, nearest(name, nemesisNames()))
	}
	return s, nil
}

// labConfig is the lab that the options ask for.
func (o options) labConfig() lab.Config {
	needs := lab.Caps(0)
	for _, n := range o.nemeses {
		needs |= n.needs()
	}
	return lab.Config{
		Backend: o.backend, Nodes: o.nodes, Profile: o.profile, Binary: o.binary, Tags: o.tags, Dir: o.dir, Seed: o.seed,
		Clocks: needs.Has(lab.CanClock), PowerCuts: needs.Has(lab.CanPowerCut), Project: o.project,
	}
}

// buildable says why no nodes can be built for faults that need a build of their own.
func (o options) buildable() error {
	if !o.labConfig().Clocks {
		return nil
	}
	return lab.Clocks()
}

func workloadNames() (names []string) {
	for _, w := range workload.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

func nemesisNames() (names []string) {
	for _, n := range nemesis.List() {
		names = append(names, n.Name())
	}
	return names
}

// list tells what there is.
func list(w io.Writer) {
	fmt.Fprintln(w, "Workloads:")
	for _, x := range workload.Workloads() {
		fmt.Fprintf(w, "  %-22s %s\n", x.Name, x.Line)
	}
	fmt.Fprintln(w, "\nNemeses (NAME:TARGET strikes one, leader, follower, minority, majority or all):")
	for _, n := range nemesis.List() {
		fmt.Fprintf(w, "  %-22s %s\n", n.Name(), n.Line())
	}
	fmt.Fprint(w, pairsHelp)
	fmt.Fprintln(w, "\nCheckers:")
	for _, c := range check.Checkers() {
		line := c.Line
		if c.Promise != "" {
			line += " (" + c.Promise + ")"
		}
		fmt.Fprintf(w, "  %-22s %s\n", c.Name, line)
	}
}

const pairsHelp = `
Two at once: A+B, such as partition-one+pause-agent, kill-node+clock-rate, disk-stall:leader+partition-halves or
partition+kill. The second comes up to a second after the first; which heals first is drawn. Two that would undo each
other's work are refused: of each group below at most one.
  links                  partition-*, slow-*
  processes begun, ended kill-*, restart-*, upgrade-*, power-cut*
  processes stopped      pause-*, freeze-*, disk-* but disk-full (strace stops them), restart-*, upgrade-*
  disks                  disk-*, power-cut*
  clocks                 clock-*
`

// nearest suggests the name that a word was perhaps meant to be.
func nearest(word string, names []string) string {
	best, least := "", 1+len(word)/2
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return "; there are: " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("; do you mean %q?", best)
}

// distance is how many letters must change to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
