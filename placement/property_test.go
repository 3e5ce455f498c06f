package placement

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// TestPlaceProperties checks one answer against a plain reading of the rules:
// what is chosen fits, every node is fit or refused with a reason, an avoided
// node is a last resort, and the order of nodes does not matter.
func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		req := drawRequest(t, 0)
		got := Place(req, in)

		var fit, rest []string
		for _, n := range in.Nodes {
			if mayRun(req, n, in) {
				fit = append(fit, n.ID)
			} else {
				rest = append(rest, n.Name)
			}
		}
		checkChoice(t, req, in, got, unshunned(req, in, fit))
		checkRefusals(t, got, in, fit, rest)

		shuffled := in
		shuffled.Nodes = slices.Clone(in.Nodes)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
		r.Shuffle(len(in.Nodes), func(i, j int) {
			shuffled.Nodes[i], shuffled.Nodes[j] = shuffled.Nodes[j], shuffled.Nodes[i]
		})
		if again := Place(req, shuffled); !reflect.DeepEqual(got, again) {
			t.Fatalf("the order of nodes matters: %v, then %v", got, again)
		}
	})
}

func checkChoice(t *rapid.T, req supervisor.Request, in Input, got Result, fit []string) {
	if got.Why == "" {
		t.Fatal("no reason for the choice")
	}
	if (got.Node == "") != (len(fit) == 0) {
		t.Fatalf("chose %q, but %v fit", got.Node, fit)
	}
	if got.Node == "" {
		return
	}
	if !slices.Contains(fit, got.Node) {
		t.Fatalf("chose %s, but only %v fit", got.Node, fit)
	}
	other := slices.ContainsFunc(fit, func(id string) bool { return !slices.Contains(req.Avoid, id) })
	if req.Only+req.Home == "" && slices.Contains(req.Avoid, got.Node) && other {
		t.Fatalf("chose %s, to be avoided, though %v fit", got.Node, fit)
	}
	checkSpared(t, req, in, got.Node, fit)
	for _, id := range fit {
		if mayGo := req.Only+req.Home == "" && !(other && slices.Contains(req.Avoid, id)); mayGo && kinOn(req, id, in) < kinOn(req, got.Node, in) {
			t.Fatalf("chose %s with %d instances of %s, though %s has fewer", got.Node, kinOn(req, got.Node, in), req.Kin, id)
		}
	}
}

// checkSpared: a degraded node was not chosen while another would have done as well, unless
// the child has a reason of its own to go there.
func checkSpared(t *rapid.T, req supervisor.Request, in Input, chosen string, fit []string) {
	node := func(id string) Node {
		return in.Nodes[slices.IndexFunc(in.Nodes, func(n Node) bool { return n.ID == id })]
	}
	n := node(chosen)
	if n.Degraded == "" || req.Only != "" || req.Last == n.ID || slices.Contains(req.Placement.Nodes, n.ID) || slices.Contains(req.Placement.Nodes, n.Name) {
		return
	}
	for _, id := range fit {
		if node(id).Degraded == "" && !slices.Contains(req.Avoid, id) && kinOn(req, id, in) <= kinOn(req, chosen, in) {
			t.Fatalf("chose %s, which is degraded, though %s is not", chosen, id)
		}
	}
}

// unshunned is what circuits leave of the nodes that fit: those that refuse nothing,
// else the least bad of those that do.
func unshunned(req supervisor.Request, in Input, fit []string) []string {
	var willing, leastBad []string
	least := time.Duration(math.MaxInt64)
	for _, n := range in.Nodes {
		switch fits := slices.Contains(fit, n.ID); {
		case fits && (n.Circuit.Why == "" || n.Circuit.Room > 0 || req.Only+req.Home != ""):
			willing = append(willing, n.ID)
		case fits && n.Circuit.Since < least:
			least, leastBad = n.Circuit.Since, []string{n.ID}
		case fits && n.Circuit.Since == least:
			leastBad = append(leastBad, n.ID)
		}
	}
	if len(willing) > 0 {
		return willing
	}
	return leastBad
}

func checkRefusals(t *rapid.T, got Result, in Input, fit, rest []string) {
	var refused []string
	for _, r := range got.Refusals {
		if r.Reason == "" {
			t.Fatalf("%s is refused without a reason", r.Node)
		}
		refused = append(refused, r.Node)
	}
	if !slices.IsSorted(refused) || len(slices.Compact(slices.Clone(refused))) != len(refused) {
		t.Fatalf("refusals are not one per node by name: %v", refused)
	}
	for _, name := range rest {
		if !slices.Contains(refused, name) {
			t.Fatalf("%s does not fit and is not refused", name)
		}
	}
	for _, n := range in.Nodes {
		if n.ID == got.Node && slices.Contains(refused, n.Name) {
			t.Fatalf("%s is chosen and refused", n.Name)
		}
	}
	if len(refused) > len(in.Nodes) || len(fit)+len(rest) != len(in.Nodes) {
		t.Fatalf("%d nodes, %d refused, %d fit", len(in.Nodes), len(refused), len(fit))
	}
}

// TestPlaceAllProperties places a run of requests and follows along: each
// answer equals Place on the state so far, so no capacity is exceeded and
// apart_from holds throughout, and the Input stays as it was.
func TestPlaceAllProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		var reqs []supervisor.Request
		for i := range rapid.IntRange(1, 13).Draw(t, "requests") {
			reqs = append(reqs, drawRequest(t, i))
			// A former life holds back what follows, and an Input of one place per
			// path cannot say so.
			delete(in.Where, reqs[i].Path)
		}
		before := fmt.Sprintf("%+v", in)
		got := PlaceAll(reqs, in)
		if after := fmt.Sprintf("%+v", in); after != before {
			t.Fatalf("the input changed:\n%s\n%s", before, after)
		}
		c := clone(in)
		for i, req := range reqs {
			if want := Place(req, c.Input); !reflect.DeepEqual(got[i], want) {
				t.Fatalf("request %d: PlaceAll says %+v, one at a time %+v", i, got[i], want)
			}
			c.placed(req, got[i].Node)
		}
		checkCapacity(t, in, c.Input)
	})
}

// checkCapacity: nothing placed may fill a node beyond its capacity.
func checkCapacity(t *rapid.T, before, after Input) {
	for i, n := range after.Nodes {
		was := before.Nodes[i].Used
		if n.CPU > 0 && n.Used.CPU > max(n.CPU, was.CPU) {
			t.Fatalf("node %s: cpu %d of %d used", n.ID, n.Used.CPU, n.CPU)
		}
		if n.Memory > 0 && n.Used.Memory > max(n.Memory, was.Memory) {
			t.Fatalf("node %s: memory %d of %d used", n.ID, n.Used.Memory, n.Memory)
		}
	}
}

func clone(in Input) *cluster {
	c := newCluster()
	c.Nodes = slices.Clone(in.Nodes)
	for path, id := range in.Where {
		c.Where[path] = id
		c.ApartFrom[path] = in.ApartFrom[path]
	}
	return c
}

// mayRun is the hard rules once more, as plainly as they can be said.
func mayRun(req supervisor.Request, n Node, in Input) bool {
	for key, want := range req.Placement.Needs {
		if have, ok := n.Labels[key]; !ok || have != want {
			return false
		}
	}
	for path, id := range in.Where {
		if id == n.ID && path != req.Path &&
			(names(req.Placement.ApartFrom, path) || names(in.ApartFrom[path], req.Path)) {
			return false
		}
	}
	if req.Placement.Instances == supervisor.ApartStrictly && kinOn(req, n.ID, in) > 0 {
		return false
	}
	if label := n.Labels[supervisor.EmbeddedLabel]; req.Func == "" && label != "" || req.Func != "" && n.Labels["func:"+req.Func] == "" {
		return false
	}
	room := func(ask, capacity, used int64) bool { return ask == 0 || capacity == 0 || used+ask <= capacity }
	return n.Eligible &&
		(req.Home == "" || req.Home == n.ID) &&
		(req.Home != "" || req.Only == "" || req.Only == n.ID || req.Only == n.Name) &&
		room(req.Placement.CPU, n.CPU, n.Used.CPU) &&
		room(req.Placement.Memory, n.Memory, n.Used.Memory)
}

// kinOn counts the other instances of the request's child on a node.
func kinOn(req supervisor.Request, id string, in Input) (count int) {
	for path, on := range in.Where {
		rest, below := strings.CutPrefix(path, req.Kin+"/")
		if req.Kin != "" && below && !strings.Contains(rest, "/") && path != req.Path && on == id {
			count++
		}
	}
	return count
}

// names tells whether a list names a path or a supervisor above it.
func names(list []string, path string) bool {
	return slices.ContainsFunc(list, func(target string) bool {
		return path == target || strings.HasPrefix(path, target+"/")
	})
}

var (
	nodeIDs   = []string{"n0", "n1", "n2", "n3", "n4"}
	drawnPath = rapid.SampledFrom([]string{"a", "a/b", "a/b/c", "a/b/d", "a/bc", "e", "e/f", "e/f/g", "h"})
	drawnNode = rapid.SampledFrom(append([]string{"N1", "N9", "n9"}, nodeIDs...))
	drawnTag  = rapid.MapOfN(rapid.SampledFrom([]string{"disk", "zone"}), rapid.SampledFrom([]string{"x", "y"}), 0, 2)
	drawnFunc = rapid.SampledFrom([]string{"", "", "mailer", "other"})
	drawnSize = rapid.Int64Range(0, 4)
)

func drawInput(t *rapid.T) Input {
	in := Input{Where: map[string]string{}, ApartFrom: map[string][]string{}}
	for _, id := range nodeIDs[:rapid.IntRange(0, len(nodeIDs)).Draw(t, "nodes")] {
		in.Nodes = append(in.Nodes, Node{
			ID: id, Name: strings.ToUpper(id), Labels: drawLabels(t),
			CPU: drawnSize.Draw(t, "cpu"), Memory: drawnSize.Draw(t, "memory"),
			Used: Used{
				CPU: drawnSize.Draw(t, "used cpu"), Memory: drawnSize.Draw(t, "used memory"),
				Children: rapid.IntRange(0, 3).Draw(t, "children"),
			},
			Eligible: rapid.IntRange(0, 4).Draw(t, "eligible") > 0,
			Why:      "draining",
			Circuit:  drawCircuit(t),
			Degraded: rapid.SampledFrom([]string{"", "", "", "memory"}).Draw(t, "degraded"),
		})
	}
	for range rapid.IntRange(0, 6).Draw(t, "placed") {
		path := drawnPath.Draw(t, "path")
		if rapid.Bool().Draw(t, "an instance") {
			path += rapid.SampledFrom([]string{"/1", "/7", "/8"}).Draw(t, "number")
		}
		in.Where[path] = drawnNode.Draw(t, "where")
		in.ApartFrom[path] = rapid.SliceOfN(drawnPath, 0, 2).Draw(t, "placed apart")
	}
	return in
}

// drawLabels: some nodes are embedded, and most of these have registered something.
func drawLabels(t *rapid.T) map[string]string {
	labels := drawnTag.Draw(t, "labels")
	if rapid.IntRange(0, 2).Draw(t, "embedded") == 0 {
		labels[supervisor.EmbeddedLabel] = supervisor.LabelYes
		if f := drawnFunc.Draw(t, "registered"); f != "" {
			labels[supervisor.FuncLabel(f)] = supervisor.LabelYes
		}
	}
	return labels
}

func drawCircuit(t *rapid.T) Circuit {
	switch rapid.IntRange(0, 3).Draw(t, "circuit") {
	case 0:
		return Circuit{Why: "circuit open", Since: time.Duration(rapid.IntRange(1, 3).Draw(t, "since"))}
	case 1:
		return Circuit{Why: "circuit half-open", Room: rapid.IntRange(0, 3).Draw(t, "room")}
	}
	return Circuit{}
}

// drawRequest draws the request number i. Its path is unlike that of any other
// request, since a child is asked for once, but like those of placed children.
func drawRequest(t *rapid.T, i int) supervisor.Request {
	path := drawnPath.Draw(t, "request")
	if i > 0 {
		path = fmt.Sprintf("%s/r%d", path, i)
	}
	req := supervisor.Request{
		Ref: supervisor.Ref{Path: path},
		Placement: supervisor.Placement{
			Needs: drawnTag.Draw(t, "needs"), CPU: drawnSize.Draw(t, "ask cpu"), Memory: drawnSize.Draw(t, "ask memory"),
			ApartFrom: rapid.SliceOfN(drawnPath, 0, 2).Draw(t, "apart"),
			Nodes:     rapid.SliceOfN(drawnNode, 0, 2).Draw(t, "preferred"),
			Mode:      rapid.SampledFrom([]supervisor.Spread{"", supervisor.SpreadOut, supervisor.Pack}).Draw(t, "mode"),
		},
		Func:  drawnFunc.Draw(t, "func"),
		Last:  rapid.SampledFrom(append([]string{""}, nodeIDs...)).Draw(t, "last"),
		Avoid: rapid.SliceOfN(drawnNode, 0, 3).Draw(t, "avoid"),
	}
	if rapid.IntRange(0, 9).Draw(t, "operator") == 0 {
		req.Only = drawnNode.Draw(t, "only")
	}
	if rapid.IntRange(0, 9).Draw(t, "each") == 0 {
		req.Home = rapid.SampledFrom(append([]string{"n9"}, nodeIDs...)).Draw(t, "home")
	}
	if rapid.IntRange(0, 2).Draw(t, "many") == 0 {
		req.Kin = drawnPath.Draw(t, "kin")
		req.Path = fmt.Sprintf("%s/%d", req.Kin, i+1)
		req.Placement.Instances = rapid.SampledFrom([]supervisor.Apartness{"", supervisor.ApartSoftly, supervisor.ApartStrictly}).Draw(t, "spread")
	}
	return req
}
