package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/selfware/selfware/gossip"
)

// row is one thing that is measured; it may report several lines.
type row struct {
	id    string
	title string
	run   func(*lab, context.Context) error
}

var rows = []row{
	{"a", "a child killed, its replacement's first instruction running", (*lab).rowRestart},
	{"b", "a node's processes killed, all its children running elsewhere", (*lab).rowNodeKilled},
	{"c", "a node gone silent, all its children running elsewhere", (*lab).rowNodeSilent},
	{"d", "a tree applied, its children running; 500 children at once", (*lab).rowApply},
	{"e", "the leader killed, the next write done", (*lab).rowWrite},
	{"g", "a node lost, killed or silent, its exclusive children running elsewhere", (*lab).rowExclusive},
	{"f", "memory of a node, and of each child beyond itself", (*lab).rowMemory},
}

// all is the name of all rows.
const all = "all"

// choose finds rows by name: one or more letters, or all.
func choose(names []string) ([]row, error) {
	if len(names) == 0 {
		names = []string{all}
	}
	var chosen []row
	for _, name := range names {
		found := false
		for _, r := range rows {
			if name == all || name == r.id {
				chosen, found = append(chosen, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: there is no row %q: give %s or %s", ErrRow, name, strings.Join(ids(), ", "), all)
		}
	}
	return chosen, nil
}

func ids() []string {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ids
}

// reps are how often each row measures, by profile where its times matter.
const (
	restarts  = 400
	applies   = 60
	storms    = 5
	stormSize = 500
)

// lossReps is for what takes an election, a detection and a node's return.
var lossReps = map[gossip.Profile]int{gossip.LAN: 8, gossip.Fast: 12}

// profiles are those whose times the goals are about.
var profiles = []gossip.Profile{gossip.LAN, gossip.Fast}
