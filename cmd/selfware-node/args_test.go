package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	tests := []struct {
		line string
		want string // the command line that cli gets, or
		err  string // a part of the refusal
	}{
		{"status", "status --", ""},
		{"status --json", "status --json --", ""},
		{"", "", ""},
		{"--help", "--help", ""},
		{"help status", "status --help --", ""},
		{"status -h", "status --help --", ""},
		{"raft snapshot save --help", "raft snapshot save --help --", ""},
		{"raft --help", "raft --help --", ""},

		// Flags after arguments, of the command and of the program.
		{"why shop/a --json", "why --json -- shop/a", ""},
		{"apply t.yaml --wait --timeout 5s", "apply --wait --timeout=5s -- t.yaml", ""},
		{"apply --timeout 5s t.yaml --wait", "apply --timeout=5s --wait -- t.yaml", ""},
		{"logs shop/a -f --tail=3", "logs --follow --tail=3 -- shop/a", ""},
		{"why shop/a --data d", "--data=d why -- shop/a", ""},
		{"--data d why shop/a", "--data=d why -- shop/a", ""},
		{"raft --api h:1 transfer n1", "--api=h:1 raft transfer -- n1", ""},
		{"join host --token T --label a=1 --label b=2", "join --token=T --label=a=1 --label=b=2 -- host", ""},
		{"recover --data a --data b c", "recover --data=a --data=b -- c", ""},
		{"status -json", "status --json --", ""},
		{"status --json=false", "status --json=false --", ""},

		// "--" and "-".
		{"validate -- --odd.yaml --json", "validate -- --odd.yaml --json", ""},
		{"validate --json -- -", "validate --json -- -", ""},
		{"apply -", "apply -- -", ""},
		{"apply - --wait", "apply --wait -- -", ""},
		{"move shop/a --to=--n1", "move --to=--n1 -- shop/a", ""},
		{"scale shop/jobs 3 --data d", "--data=d scale -- shop/jobs 3", ""},
		{"scale shop/jobs", "", "SIZE is missing"},
		{"validate help", "validate -- help", ""},

		// Values.
		{"move shop/a --to", "", "--to needs a value"},
		{"move --to --json shop/a", "", "write --to=--json if that is it"},
		{"drain n1 --deadline", "", "--deadline needs a value"},
		{"drain n1 --deadline 1s --deadline 2s", "", "--deadline is given twice"},
		{"logs a --follow -f", "", "--follow is given twice"},
		{"--data a status --data b", "", "--data is given twice"},

		// What is not known.
		{"stauts", "", `unknown command "stauts"; did you mean status?`},
		{"frobnicate", "", "unknown command \"frobnicate\"; `selfware-node --help` lists all"},
		{"raft pers", "", `unknown command "pers"; did you mean peers?`},
		{"raft", "", "selfware-node raft needs a command"},
		{"raft snapshot", "", "selfware-node raft snapshot needs a command"},
		{"status --jsno", "", "unknown flag --jsno; did you mean --json?"},
		{"tree shop --josn", "", "unknown flag --josn; did you mean --json?"},
		{"apply t.yaml --wiat", "", "unknown flag --wiat; did you mean --wait?"},
		{"status --qqqqqqqq", "", "unknown flag --qqqqqqqq; `selfware-node status --help` lists all"},
		{"status -x", "", "unknown flag -x"},
		{"--json status", "", "unknown flag --json"},
		{"apply t.yaml --to n1", "", "unknown flag --to"},

		// Too little, too much.
		{"why", "", "PATH is missing: selfware-node why PATH"},
		{"validate", "", "FILE is missing: selfware-node validate FILE..."},
		{"validate a b c", "validate -- a b c", ""},
		{"status now", "", `argument "now" is too much: selfware-node status`},
		{"drain n1 60s", "", `argument "60s" is too much: selfware-node drain NODE`},
		{"tree", "tree --", ""},
		{"tree shop", "tree -- shop", ""},
		{"tree shop store", "", `argument "store" is too much`},
		{"raft snapshot save", "", "FILE is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			args := append([]string{"selfware-node"}, strings.Fields(tt.line)...)
			got, err := arrange(newApp(nil), args)
			if tt.err != "" {
				checkUsage(t, err, tt.err)
				return
			}
			if want := append([]string{"selfware-node"}, strings.Fields(tt.want)...); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func checkUsage(t *testing.T, err error, part string) {
	t.Helper()
	var u usageError
	if !errors.As(err, &u) || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want a usage error with %q", err, part)
	}
}

// TestCommandsAreDescribed: whatever is added later has words, and flags that
// cannot be mistaken for those of the program.
func TestCommandsAreDescribed(t *testing.T) {
	app := newApp(nil)
	for _, c := range app.Commands {
		if c.Usage == "" && !c.Hidden {
			t.Errorf("%s has no usage", c.Name)
		}
		if c.Action == nil && len(c.Subcommands) == 0 {
			t.Errorf("%s does nothing", c.Name)
		}
		for _, f := range c.Flags {
			if n := f.Names()[0]; n == "api" || n == "data" && c.Name != "dev" && c.Name != "recover" {
				t.Errorf("%s hides the program's flag --%s", c.Name, n)
			}
		}
	}
}

func TestMeant(t *testing.T) {
	names := []string{"status", "start", "stop", "undrain", "drain"}
	for word, want := range map[string]string{
		"statsu": "status", "stat": "start", "sotp": "stop", "undrian": "undrain", "x": "", "configure": "", "strat": "start",
	} {
		got := meant(word, names)
		if want == "" && got != "" || want != "" && got != "; did you mean "+want+"?" {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "4": 4000, "0.5": 500, "1500m": 1500, "x": -1, "-1": -1, "0": -1, "1e30": -1, "NaN": -1} {
		if got, err := parseCPU(text); want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("cpu %q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]int64{
		"": 0, "1000": 1000, "8GiB": 8 << 30, "1.5Mi": 3 << 19, "2G": 2e9, "1KB": 1000, "512 MiB": 512 << 20,
		"GiB": -1, "-1": -1, "0": -1, "9999999TiB": -1, "1QiB": -1,
	} {
		if got, err := parseMemory(text); want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("memory %q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]bool{"0": true, "12": true, "12.3": true, "": false, "x": false, "12.": false, "-1": false, "1.2.3": false} {
		if isPosition(text) != want {
			t.Errorf("position %q: want %v", text, want)
		}
	}
}
