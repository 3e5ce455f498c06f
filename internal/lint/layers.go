package lint

import (
	"maps"
	"slices"
	"strings"
)

// below is everything that is put together by node, in no package of its own.
var below = []string{
	"supervisor", "supervisor/health", "supervisor/breaker", "placement", "spec", "link", "fence",
	"keeper/wire", "keeper/leftover", "keeper", "runner", "gossip", "fsm", "agent", "api", "function", "function/table",
	"cluster", "cluster/raftstore", "cluster/raftnet", "cluster/mux",
}

// layers says which of our packages each may import. Nothing imports upwards,
// and agent and cluster know each other only through link.
var layers = map[string][]string{
	"supervisor":         {},
	"supervisor/health":  {},
	"supervisor/breaker": {},
	"placement":          {"supervisor"},
	"spec":               {"supervisor"},
	"link":               {"supervisor"},
	"fence":              {},
	"keeper/wire":        {},
	"keeper/leftover":    {},
	"keeper":             {"keeper/wire", "keeper/leftover"},
	"runner":             {"keeper/wire", "keeper/leftover", "supervisor/health"},
	"gossip":             {},
	"fsm":                {"supervisor", "supervisor/breaker", "link"},
	"agent":              {"supervisor", "supervisor/health", "link", "runner", "fence"},
	"function":           {"supervisor", "fence"},
	"function/table":     {"supervisor", "supervisor/health", "fence", "link", "runner", "agent", "function"},
	"cluster": {
		"supervisor", "supervisor/breaker", "placement", "fsm", "gossip", "link", "function",
		"cluster/raftstore", "cluster/raftnet", "cluster/mux",
	},
	"cluster/raftstore": {"cluster/raftnet"},
	"cluster/raftnet":   {},
	"cluster/mux":       {},
	"api":               {"supervisor", "supervisor/breaker", "placement", "spec", "fsm", "cluster", "runner", "link", "fence"},
	"api/client":        {"api", "spec", "supervisor", "supervisor/breaker"},
	"simulate":          {"supervisor", "spec", "link", "gossip", "fsm", "cluster"},
	"node":              below,
	"bench":             append([]string{"node", "api/client"}, below...),
	"cmd/selfware-node": {
		"node", "api", "api/client", "spec", "supervisor", "runner", "keeper", "bench", "simulate",
		"cmd/selfware-node/dev", "cmd/selfware-node/knock", "cmd/selfware-node/recovery", "cmd/selfware-node/replay", "cmd/selfware-node/show",
	},
	"cmd/selfware-node/dev":      {"api", "api/client", "node", "keeper/leftover", "cmd/selfware-node/show"},
	"cmd/selfware-node/knock":    {"cluster/mux"},
	"cmd/selfware-node/recovery": {"cluster", "cluster/raftstore", "fsm", "node"},
	"cmd/selfware-node/replay":   {"cluster", "cluster/raftstore", "fsm", "node", "supervisor"},
	"cmd/selfware-node/show":     {"api", "spec", "supervisor", "simulate", "cmd/selfware-node/replay"},
	"internal/e2e":               append([]string{"node"}, below...),
	"internal/bug":               {},
	"internal/bug/*":             {},
	"internal/otp":               {"supervisor"},
	"internal/explore":           {"supervisor"},
	"internal/leasemodel":        {},
	"internal/keepertest":        {"keeper", "keeper/wire"},
	"internal/lint":              {},
	"internal/simtest":           append([]string{"node", "internal/simtest/simnet"}, below...),
	"internal/simtest/*":         append([]string{"internal/simtest/simnet"}, below...),
	"internal/simtest/simnet":    {},
	"examples/*":                 {},
	"examples/fenced":            {"fence"},
	"examples/embedded":          {"api/client", "cluster", "node"},
	"jepsen-lite": {
		"api", "api/client", "jepsen-lite/check", "jepsen-lite/history", "jepsen-lite/lab", "jepsen-lite/nemesis",
		"jepsen-lite/offline", "jepsen-lite/report", "jepsen-lite/witness", "jepsen-lite/workload",
	},
	"jepsen-lite/*":        {"api", "supervisor"},
	"jepsen-lite/history":  {"supervisor"},
	"jepsen-lite/check":    {"supervisor", "jepsen-lite/history"},
	"jepsen-lite/offline":  {"supervisor", "fsm", "cluster", "cluster/raftstore", "jepsen-lite/history"},
	"jepsen-lite/report":   {"jepsen-lite/check", "jepsen-lite/history"},
	"jepsen-lite/witness":  {"jepsen-lite/history"},
	"jepsen-lite/workload": {"api", "api/client", "fsm", "spec", "jepsen-lite/history", "jepsen-lite/lab", "jepsen-lite/witness"},
	"jepsen-lite/vswitch":  {},
	"jepsen-lite/clock":    {},
	"jepsen-lite/lab":      {"api", "jepsen-lite/vswitch", "jepsen-lite/clock"},
	"jepsen-lite/nemesis":  {"api", "jepsen-lite/history", "jepsen-lite/lab"},
}

// seeded is the switch of the seeded bugs. Any package may import it, the pure ones
// too: a bug sits where bugs would, and in what is shipped the switch is a constant
// that the compiler removes (TestNoBugIsShipped).
const seeded = "internal/bug"

// strangers says who may import a third-party module. golang.org/x/sys is the
// kernel's face and belongs where files, sockets and processes are; bench
// measures the floors with the bare libraries.
var strangers = map[string][]string{
	"github.com/hashicorp/raft":           {"cluster", "cluster/*", "node", "bench", "internal/*", "jepsen-lite/offline"},
	"github.com/hashicorp/raft-boltdb/v2": {"cluster", "cluster/*", "bench", "internal/*"},
	"github.com/hashicorp/go-msgpack/v2":  {"cluster/raftstore"},
	"go.etcd.io/bbolt":                    {"cluster", "cluster/*", "bench", "internal/*"},
	"github.com/hashicorp/go-hclog":       {"cluster", "cluster/*", "bench", "internal/*"},
	"github.com/hashicorp/memberlist":     {"gossip", "bench", "internal/*"},
	"github.com/fxamacker/cbor/v2":        {"link", "fsm", "gossip", "cluster", "cluster/*"},
	"github.com/goccy/go-yaml":            {"spec"},
	"github.com/danielgtaylor/huma/v2":    {"api"},
	"github.com/anishathalye/porcupine":   {"jepsen-lite/check", "jepsen-lite/report"},
	"github.com/urfave/cli/v2":            {"cmd/selfware-node"},
	"golang.org/x/sys":                    {"keeper", "keeper/*", "runner", "agent", "node", "cluster", "cluster/*", "cmd/selfware-node", "bench", "internal/*", "jepsen-lite", "jepsen-lite/*"},
}

// apart are pairs of which neither may reach the other by any way.
var apart = [][2]string{{"agent", "cluster"}}

// checkLayers reads every import of the shipped files against the lists.
func checkLayers(t *tree) []finding {
	var found []finding
	graph := make(map[string][]string)
	for _, s := range t.shipped() {
		allowed, known := rule(layers, s.folder())
		if !known {
			found = append(found, s.found(s.file.Package,
				"package %s is in no layer: say where it belongs, in layers of internal/lint", s.folder()))
			continue
		}
		for _, spec := range s.file.Imports {
			p := importPath(spec)
			ours, ok := strings.CutPrefix(p, module+"/")
			switch {
			case ours == seeded:
			case ok && !slices.Contains(allowed, ours):
				found = append(found, s.found(spec.Pos(), "%s may not import %s", s.folder(), ours))
			case ok:
			case isStranger(p) && !mayImportStranger(s.folder(), p):
				found = append(found, s.found(spec.Pos(), "%s may not import %s", s.folder(), p))
			}
			if ok {
				graph[s.folder()] = append(graph[s.folder()], ours)
			}
		}
	}
	return append(found, checkApart(graph)...)
}

// checkApart finds ways between packages that must not know each other, and
// packages that reach themselves.
func checkApart(graph map[string][]string) []finding {
	var found []finding
	for _, pair := range apart {
		for _, way := range [][2]string{pair, {pair[1], pair[0]}} {
			if reaches(graph, way[0], way[1]) {
				found = append(found, finding{way[0], "reaches " + way[1] + " through its imports"})
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(graph)) {
		if reaches(graph, from, from) {
			found = append(found, finding{from, "reaches itself through its imports"})
		}
	}
	return found
}

// reaches tells whether a way of at least one import leads from one to the other.
func reaches(graph map[string][]string, from, to string) bool {
	seen := make(map[string]bool)
	var visit func(string) bool
	visit = func(at string) bool {
		for _, next := range graph[at] {
			if next == to {
				return true
			}
			if !seen[next] {
				seen[next] = true
				if visit(next) {
					return true
				}
			}
		}
		return false
	}
	return visit(from)
}

// rule looks a folder up, first by name and then by the nearest "parent/*".
func rule(rules map[string][]string, folder string) ([]string, bool) {
	if allowed, ok := rules[folder]; ok {
		return allowed, true
	}
	for at := folder; ; {
		slash := strings.LastIndexByte(at, '/')
		if slash < 0 {
			return nil, false
		}
		at = at[:slash]
		if allowed, ok := rules[at+"/*"]; ok {
			return allowed, true
		}
	}
}

// isStranger tells a third-party path from the standard library's, whose first
// element has no dot.
func isStranger(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return strings.Contains(first, ".")
}

func mayImportStranger(folder, p string) bool {
	for _, mod := range slices.Sorted(maps.Keys(strangers)) {
		if within(p, mod) {
			return slices.ContainsFunc(strangers[mod], func(who string) bool {
				parent, all := strings.CutSuffix(who, "/*")
				return who == folder || all && strings.HasPrefix(folder, parent+"/")
			})
		}
	}
	return false
}
