package placement

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/selfware/selfware/supervisor"
)

// TestScripts runs the stories in testdata. Directives, one item a line:
//
//	nodes      n1 cpu=4000 memory=8192 labels=(disk=ssd) children=3 used-cpu= used-memory= why=draining
//	           degraded=memory (what it complains of)
//	           open=17 (since, in seconds) half-open=3 (trials there is room for)
//	placed     shop/db on=n1 apart=(shop/web)      a child that runs already
//	place      shop/web needs=(disk=ssd) cpu=500 memory=512 apart=(..) nodes=(..)
//	           mode=pack last=n1 avoid=(n1) only=n1 kin=shop/web strict home=n1
//
// cpu is in thousandths of a core, memory in MiB. nodes sets a node anew, place
// asks for all its lines in one PlaceAll and then counts what was placed.
func TestScripts(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(stories) == 0 {
		t.Fatalf("cannot find the stories: %v", err)
	}
	for _, path := range stories {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := newCluster()
			datadriven.RunTest(t, path, c.run)
		})
	}
}

// cluster is an Input that scripts and properties change step by step.
type cluster struct{ Input }

func newCluster() *cluster {
	return &cluster{Input{Where: map[string]string{}, ApartFrom: map[string][]string{}}}
}

func (c *cluster) run(t *testing.T, td *datadriven.TestData) string {
	var reqs []supervisor.Request
	for line := range strings.Lines(td.Input) {
		name, args := parseLine(t, td, line)
		switch td.Cmd {
		case "nodes":
			c.setNode(name, args)
		case "placed":
			c.placed(supervisor.Request{Ref: supervisor.Ref{Path: name},
				Placement: supervisor.Placement{ApartFrom: args.list("apart")}}, args.one("on"))
		case "place":
			reqs = append(reqs, request(name, args))
		default:
			td.Fatalf(t, "unknown directive %s", td.Cmd)
		}
	}
	var out strings.Builder
	for i, r := range PlaceAll(reqs, c.Input) {
		fmt.Fprintf(&out, "%s -> %s: %s\n", reqs[i].Path, cmp.Or(r.Node, "nowhere"), r.Why)
		for _, f := range r.Refusals {
			fmt.Fprintf(&out, "  %s: %s\n", f.Node, f.Reason)
		}
		c.placed(reqs[i], r.Node)
	}
	return out.String()
}

// placed counts a child on a node, as the replicated state would.
func (c *cluster) placed(req supervisor.Request, id string) {
	for i := range c.Nodes {
		if n := &c.Nodes[i]; n.ID == id {
			n.Used.Children++
			n.Used.CPU += req.Placement.CPU
			n.Used.Memory += req.Placement.Memory
			n.Circuit.Room = max(0, n.Circuit.Room-1)
			c.Where[req.Path] = id
			c.ApartFrom[req.Path] = req.Placement.ApartFrom
		}
	}
}

func (c *cluster) setNode(id string, a args) {
	n := Node{
		ID: id, Name: a.one("name"), Labels: a.pairs("labels"),
		CPU: a.number("cpu"), Memory: a.number("memory") << 20,
		Used:     Used{CPU: a.number("used-cpu"), Memory: a.number("used-memory") << 20, Children: int(a.number("children"))},
		Eligible: !a.has("why"), Why: a.one("why"),
	}
	n.Degraded = a.one("degraded")
	switch {
	case a.has("open"):
		n.Circuit = Circuit{Why: "circuit open", Since: time.Duration(a.number("open")) * time.Second}
	case a.has("half-open"):
		n.Circuit = Circuit{Why: "circuit half-open", Room: int(a.number("half-open"))}
	}
	for i := range c.Nodes {
		if c.Nodes[i].ID == id {
			c.Nodes[i] = n
			return
		}
	}
	c.Nodes = append(c.Nodes, n)
}

func request(path string, a args) supervisor.Request {
	req := supervisor.Request{
		Ref: supervisor.Ref{Path: path},
		Placement: supervisor.Placement{
			Needs: a.pairs("needs"), CPU: a.number("cpu"), Memory: a.number("memory") << 20,
			ApartFrom: a.list("apart"), Nodes: a.list("nodes"), Mode: supervisor.Spread(a.one("mode")),
		},
		Func: a.one("func"), Last: a.one("last"), Avoid: a.list("avoid"), Only: a.one("only"), Kin: a.one("kin"), Home: a.one("home"),
	}
	if a.has("strict") {
		req.Placement.Instances = supervisor.ApartStrictly
	}
	return req
}

// args are the arguments of one line; number panics on what is no number, which
// fails the test.
type args map[string][]string

func parseLine(t *testing.T, td *datadriven.TestData, line string) (string, args) {
	name, list, err := datadriven.ParseLine(strings.TrimSpace(line))
	if err != nil {
		td.Fatalf(t, "cannot parse %q: %v", line, err)
	}
	a := args{}
	for _, arg := range list {
		a[arg.Key] = arg.Vals
	}
	return name, a
}

func (a args) has(key string) bool      { _, ok := a[key]; return ok }
func (a args) list(key string) []string { return a[key] }
func (a args) one(key string) string    { return strings.Join(a[key], ",") }

func (a args) number(key string) int64 {
	if !a.has(key) {
		return 0
	}
	n, err := strconv.ParseInt(a.one(key), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (a args) pairs(key string) map[string]string {
	m := map[string]string{}
	for _, kv := range a[key] {
		k, v, _ := strings.Cut(kv, "=")
		m[k] = v
	}
	return m
}
