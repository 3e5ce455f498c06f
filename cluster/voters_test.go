package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// cand reads "a1 voter caught" and so on: an id, then what is true of it. Known and
// healthy unless it says "sick", "left" or "unknown".
func cand(text string) candidate {
	words := strings.Fields(text)
	c := candidate{id: words[0], addr: words[0] + ":1", known: true, healthy: true}
	for _, w := range words[1:] {
		switch w {
		case "self":
			c.self = true
		case "voter":
			c.server, c.voter = true, true
		case "server":
			c.server = true
		case "caught":
			c.caught = true
		case "moved":
			c.moved = true
		case "sick":
			c.healthy = false
		case "left":
			c.left, c.healthy = true, false
		case "unknown":
			c.known, c.healthy = false, false
		case "at=x":
			c.addr = "x:1"
		default:
			panic(w)
		}
	}
	return c
}

func TestAdvise(t *testing.T) {
	tests := []struct {
		name  string
		cands string
		want  string // "verb id"; empty: nothing
	}{
		{"one node", "a voter self", ""},
		{"two nodes want one voter", "a voter self, b", ""},
		{"three nodes want three", "a voter self, b, c", "add b"},
		{"a new server copies the log first", "a voter self, b server, c", ""},
		{"then it votes", "a voter self, b server caught, c", "promote b"},
		{"the second one", "a voter self, b voter, c", "add c"},
		{"complete", "a voter self, b voter, c voter", ""},
		{"four nodes want three", "a voter self, b voter, c voter, d", ""},
		{"five want five", "a voter self, b voter, c voter, d, e", "add d"},
		{"a sick node is not asked", "a voter self, b sick, c", "add c"},
		{"a sick server is not promoted", "a voter self, b server caught sick, c", "add c"},
		{"a dead voter stays while nobody can take its place", "a voter self, b voter, c voter sick", ""},
		{"its successor comes first", "a voter self, b voter, c voter sick, d", "add d"},
		{"then it goes", "a voter self, b voter, c voter sick, d voter", "remove c"},
		{"who left goes, when the rest can do without", "a voter self, b voter, c voter left", "remove c"},
		{"of two nodes only one votes", "a voter self, b voter left, c voter", "remove b"},
		{"a server that left goes", "a voter self, b server left", "remove b"},
		{"a server that nobody knows goes", "a voter self, b server unknown", "remove b"},
		{"a moved voter gets its address", "a voter self, b voter moved, c voter", "address b"},
		{"a sick one does not", "a voter self, b voter moved sick, c voter", ""},
		{"a wiped voter, succeeded under its name, goes first", "a voter self, b voter, c voter unknown, d", "remove c"},
		{"but not while the others are no majority", "a voter self, b voter sick, c voter unknown, d", "add d"},
		{"one whose address is another's now goes first", "a voter self, b voter, c voter sick at=x, d at=x", "remove c"},
		{"a dead server that copied the log, too", "a voter self, b server sick at=x, c at=x, d", "remove b"},
		{"too many voters: the last goes", "a voter self, b voter, c voter, d voter, e left", "remove d"},
		{"never the leader itself", "a voter, b voter, c voter, d voter self, e left", "remove c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cands []candidate
			for _, text := range strings.Split(tt.cands, ",") {
				cands = append(cands, cand(text))
			}
			got := ""
			if c, ok := advise(cands); ok {
				got = c.verb + " " + c.id
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAdviseIsSafeAndEnds follows the advice on random clusters: a step never
// leaves a majority of sound voters without one, and the steps come to an end.
func TestAdviseIsSafeAndEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 5000 {
		cands := randomCandidates(r)
		before := fmt.Sprint(cands)
		for step := 0; ; step++ {
			c, ok := advise(cands)
			if !ok {
				break
			}
			if step > 40 {
				t.Fatalf("round %d: no end: %s: %v", round, before, c)
			}
			hadMajority := quorate(cands)
			follow(&cands, c)
			if hadMajority && !quorate(cands) {
				t.Fatalf("round %d: %v takes the majority of sound voters away: %s", round, c, before)
			}
		}
		voters := 0
		for _, c := range cands {
			voters += count(c.voter)
			if c.self && !c.voter {
				t.Fatalf("round %d: the leader lost its own vote: %s", round, before)
			}
		}
		if voters == 0 {
			t.Fatalf("round %d: nobody votes: %s", round, before)
		}
	}
}

func randomCandidates(r *rand.Rand) []candidate {
	cands := []candidate{{id: "a", addr: "a:1", known: true, healthy: true, server: true, voter: true, self: true, caught: true}}
	for i := range r.IntN(7) {
		c := candidate{id: fmt.Sprintf("n%d", i), addr: fmt.Sprintf("h%d:1", r.IntN(8)), known: r.IntN(8) > 0, left: r.IntN(8) == 0, server: r.IntN(2) == 0}
		c.healthy = c.known && !c.left && r.IntN(3) > 0
		c.voter = c.server && r.IntN(2) == 0
		c.moved = c.voter && r.IntN(4) == 0
		c.caught = r.IntN(2) == 0
		cands = append(cands, c)
	}
	return cands
}

// quorate: more than half of the voters are sound.
func quorate(cands []candidate) bool {
	voters, sound := 0, 0
	for _, c := range cands {
		voters += count(c.voter)
		sound += count(c.voter && c.healthy)
	}
	return 2*sound > voters
}

// follow carries a change out, as raft would; servers catch up at once.
func follow(cands *[]candidate, ch change) {
	i := slices.IndexFunc(*cands, func(c candidate) bool { return c.id == ch.id })
	c := &(*cands)[i]
	switch ch.verb {
	case "add":
		c.server, c.caught = true, true
	case "promote":
		c.voter = true
	case "address":
		c.moved = false
	case "remove":
		c.server, c.voter = false, false
		if !c.known {
			*cands = slices.Delete(*cands, i, i+1)
		}
	}
}
