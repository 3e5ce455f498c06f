package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// TestMistakes: what cannot be run is refused, with what was probably meant.
func TestMistakes(t *testing.T) {
	all := func(more ...string) []string {
		return append([]string{"--workload", "register", "--nemesis", "none", "--dir", "x"}, more...)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `there is no workload ""`},
		{all("--workload", "regster"), `do you mean "register"?`},
		{all("--nemesis", "kil-node"), `do you mean "kill-node"?`},
		{all("--nemesis", "kill-node:leadr"), `do you mean "leader"?`},
		{all("--nemesis", ""), "which faults"},
		{all("--nemesis", "partition-one+slow-loss"), "cannot do partition-one and slow-loss at once: both set the rules of links"},
		{all("--nemesis", "partition-one+paus-agent"), `do you mean "pause-agent"?`},
		{all("--nemesis", "kill-node+none"), "cannot do none with another"},
		{all("--dir", ""), "--dir"},
		{all("--backend", "netn"), `do you mean "netns"?`},
		{all("--profile", "slow"), "there are: lan, fast, wan"},
		{all("--time", "1s"), "too short"},
		{all("--time", "30s", "--nemesis", "kill-node,kill-all,none"), "too short for 3 kinds of faults in profile lan: 53s is the least"},
		{all("more"), `"more" is no flag`},
		{all("--nonsense"), "nonsense"},
	} {
		if _, err := parse(tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.args, err, tt.want)
		}
	}
	if _, err := parse([]string{"-h"}); !errors.Is(err, errHelp) {
		t.Errorf("-h: %v", err)
	}
}

// TestWords: a word is one nemesis, or the beginning of several.
func TestWords(t *testing.T) {
	o, err := parse([]string{"--workload", "storm", "--nemesis", "kill-node:leader,partition", "--dir", "x", "--seed", "7"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.nemeses) != 2 || o.nemeses[0].target != "leader" || len(o.nemeses[1].choices) < 5 || o.seed != 7 {
		t.Errorf("%+v", o)
	}
}

// TestPairs: of two words with + between, those combinations are drawn that can be.
func TestPairs(t *testing.T) {
	s, err := strikeOf("kill:leader+pause")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, n := range s.choices {
		names[n.Name()] = true
	}
	if s.asked != "kill+pause" || !names["kill-node+pause-agent"] || !names["kill-node+pause-keeper"] || names["kill-agent+pause-keeper"] {
		t.Errorf("%q stands for %v", s.asked, names)
	}
	if needs := s.needs(); !needs.Has(lab.CanKill | lab.CanPause) {
		t.Errorf("it needs %v", needs)
	}
}

func TestList(t *testing.T) {
	var b bytes.Buffer
	list(&b)
	for _, want := range []string{"exclusive ", "partition-halves ", "A+B", "overlap ", "(P13)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the list lacks %q:\n%s", want, b.String())
		}
	}
}
