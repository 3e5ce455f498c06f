package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/node"
)

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "selfware-node-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "selfware-node")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3-test", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// result is what a run of the binary gave.
type result struct {
	code     int
	out, err string
}

func runBinary(t *testing.T, dir, stdin string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "SELFWARE_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

const goodTree = "name: shop\nchildren:\n  - {id: store, run: sleep 1}\n"

// testDir has a good and a bad tree file, and a prepared data dir.
func testDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.yaml": goodTree, "bad.yaml": "name: shop\nchilren: []\n", "foreign/some.file": "x",
		"plan.yaml": "- {at: 3s, node: n1, down: 5s}\n", "typo.yaml": "- {at: 3s, crahs: shop/store}\n", "shot": "no snapshot", "tok": "sw1-aaaa\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := node.Init(filepath.Join(dir, "d"), node.Options{Name: "n1", Bind: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDone(t *testing.T) {
	dir := testDir(t)
	tests := []struct{ line, out string }{
		{"version", "v1.2.3-test\n"},
		{"--version", "v1.2.3-test\n"},
		{"version --json", `"version": "v1.2.3-test"`},
		{"validate good.yaml", "good.yaml: tree shop is valid\n"},
		{"validate good.yaml --json", `"valid": true`},
		{"validate -", "-: tree shop is valid\n"},
		{"schema", `"$schema": "https://json-schema.org/draft/2020-12/schema"`},
		{"completion bash", "complete -F _selfware_node selfware-node"},
		{"completion zsh", "#compdef selfware-node"},
		{"completion fish", "complete -c selfware-node"},
		{"token --data d", "sw1-"},
		{"token --json --data d", `"token": "sw1-`},
		{"init --no-run --data d", "d is prepared already: node n1 of cluster c-"},
		{"init --no-run --data fresh --name n7", "fresh holds its first node, n7."},
		{"policy explain good.yaml", "everything stops"},
		{"policy explain - shop/store --json", `"verdict": "escalate"`},
		{"simulate good.yaml --random 3 --plan", "- {at: "},
		{"simulate good.yaml --random 3 --json", `"by_fault"`},
		{"simulate good.yaml --faults plan.yaml --nodes 2", "gaps because of each fault"},
		{"--help", "apply"},
		{"", "COMMANDS"},
		{"apply --help", "--wait"},
		{"help join", "--token-file FILE"},
		{"raft snapshot --help", "restore"},
		{"complete -- st", "start\nstatus\nstop\n"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			r := runBinary(t, dir, goodTree, strings.Fields(tt.line)...)
			if r.code != 0 || r.err != "" || !strings.Contains(r.out, tt.out) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want 0 and %q", r.code, r.out, r.err, tt.out)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	dir := testDir(t)
	tests := []struct {
		line string
		code int
		err  string
	}{
		// Refused or failed.
		{"validate bad.yaml", 1, "bad.yaml:2:1: "},
		{"validate missing.yaml", 1, "cannot read missing.yaml: "},
		{"validate good.yaml bad.yaml", 1, "bad.yaml:2:1: "},
		{"apply bad.yaml --data d", 1, "bad.yaml:2:1: "},
		{"status --data d", 1, "the node of d does not run: start it with `selfware-node run --data d`"},
		{"status --api 127.0.0.1:1", 1, "no node answers at 127.0.0.1:1"},
		{"why shop/a --data none", 1, "none is no data dir"},
		{"token --data none", 1, "none is no data dir"},
		{"run --data none", 1, "prepare it with `selfware-node init`"},
		{"init --no-run --data foreign", 1, `it holds "some.file" but no node.json`},
		{"init --no-run --data d --bind 127.0.0.9", 1, "cannot change --bind of node n1"},
		{"init --no-run --data e --bind nowhere", 1, "cannot bind to"},
		{"init --no-run --data e --profile slow", 1, "slow"},
		{"join 127.0.0.1 --token-file tok --data e --wait 0s", 1, "cannot join: "},
		{"join a/b --token-file d/token --data e --wait 0s", 1, `cannot join "a/b"`},
		{"join 127.0.0.1:9 --token-file d/token --data e --wait 0s", 1, "connection refused"},
		{"raft snapshot restore shot --data d", 1, "this is no file that `raft snapshot save` wrote"},
		{"recover --data d", 1, "cannot recover d"},
		{"recover --data none", 1, "cannot recover none"},
		{"dev bad.yaml", 1, "bad.yaml:2:1: "},
		{"policy explain bad.yaml", 1, "bad.yaml:2:1: "},
		{"policy explain good.yaml shop/stor", 1, "it has shop/store"},
		{"simulate bad.yaml --random 1", 1, "bad.yaml:2:1: "},
		{"simulate good.yaml --faults typo.yaml", 1, `typo.yaml:1:12: unknown key "crahs" in fault 1; did you mean "crash"?`},
		{"simulate good.yaml --faults plan.yaml --for 2s", 1, "it comes after the end"},
		{"replay none", 1, "cannot use none as a data dir"},
		{"replay d", 1, "no raft log"},
		{"replay --data d", 1, "no raft log"},
		{"replay --log good.yaml", 1, "a log is a file raft.db"},

		// Command lines that cannot be meant.
		{"stauts", 2, "did you mean status?"},
		{"status --jsonn --data d", 2, "did you mean --json?"},
		{"status extra --data d", 2, `argument "extra" is too much`},
		{"status", 2, "give --data DIR (or SELFWARE_DATA)"},
		{"status --data d --api x:1", 2, "cannot use --data and --api at once"},
		{"status --api http://a/b", 2, "write host:port"},
		{"run", 2, "no data dir"},
		{"run --api x:1", 2, "cannot use --api here"},
		{"run --data d --log-level loud", 2, "debug, info, warn or error"},
		{"apply good.yaml --wait --timeout soon --data d", 2, "soon"},
		{"apply good.yaml --timeout 5s --data d", 2, "--timeout is of no use without --wait"},
		{"join 127.0.0.1 --data e", 2, "no token"},
		{"join 127.0.0.1 --data e --token a --token-file b", 2, "at once"},
		{"init --data e --label disk", 2, "write KEY=VALUE"},
		{"init --data e --label a=1 --label a=2", 2, "a has a value already"},
		{"init --data e --cpu many", 2, "cannot use --cpu"},
		{"init --data e --memory much", 2, "cannot use --memory"},
		{"init --data e --port seven", 2, "seven"},
		{"events --since yesterday --data d", 2, "write a log index"},
		{"logs shop/a --stream both1 --data d", 2, "stdout, stderr or both"},
		{"logs shop/a --tail=-1 --data d", 2, "at least 0"},
		{"dev --nodes 0", 2, "at least 1"},
		{"dev --profile slow", 2, "slow"},
		{"leave --api 127.0.0.1:1", 2, "NODE is missing"},
		{"policy", 2, "needs a command"},
		{"simulate good.yaml", 2, "no faults: give --faults FILE, or --random N"},
		{"simulate good.yaml --random 0", 2, "cannot draw 0 faults"},
		{"simulate good.yaml --random 1 --faults plan.yaml", 2, "at once"},
		{"simulate good.yaml --faults plan.yaml --seed 3", 2, "are of no use without --random"},
		{"simulate good.yaml --random 1 --nodes 0", 2, "cannot simulate 0 nodes"},
		{"simulate good.yaml --random 1 --profile slow", 2, "none of lan, fast, wan"},
		{"simulate good.yaml --random 1 --delays bad", 2, "worst or typical"},
		{"simulate good.yaml --random 1 --label n9:a=b", 2, "there are the nodes n1, n2, n3"},
		{"replay", 2, "no data dir"},
		{"replay d --data d", 2, "at once"},
		{"replay d --log raft.db", 2, "at once"},
		{"completion tcsh", 2, "bash, zsh or fish"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			r := runBinary(t, dir, "", strings.Fields(tt.line)...)
			if r.code != tt.code || !strings.HasPrefix(r.err, "selfware-node: ") && !strings.Contains(r.err, "\nselfware-node: ") {
				t.Errorf("exit code %d, stderr %q; want %d", r.code, r.err, tt.code)
			}
			if !strings.Contains(r.err, tt.err) || strings.Contains(r.err, "goroutine ") || strings.Contains(r.out+r.err, "USAGE") {
				t.Errorf("stderr %q, stdout %q; want only %q", r.err, r.out, tt.err)
			}
			if _, err := os.Stat(filepath.Join(dir, "e")); err == nil {
				t.Error("a data dir was written")
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	dir := testDir(t)
	tests := []struct {
		env  []string
		args string
		code int
		err  string
	}{
		{[]string{"SELFWARE_DATA=d"}, "status", 1, "the node of d does not run"},
		{[]string{"SELFWARE_API=127.0.0.1:1"}, "status", 1, "no node answers at 127.0.0.1:1"},
		{[]string{"SELFWARE_API=127.0.0.1:1"}, "status --data d", 1, "the node of d does not run"},
		{[]string{"SELFWARE_DATA=d"}, "status --api 127.0.0.1:1", 1, "no node answers at 127.0.0.1:1"},
		{[]string{"SELFWARE_DATA=d", "SELFWARE_API=127.0.0.1:1"}, "status", 2, "are both set"},
		{[]string{"SELFWARE_TOKEN=sw1-aaaa"}, "join 127.0.0.1 --data e --wait 0s", 1, "cannot join: "},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, strings.Fields(tt.args)...)
			cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH")}, tt.env...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.err) {
				t.Errorf("exit code %d, %q; want %d and %q", code, out, tt.code, tt.err)
			}
		})
	}
}

func TestValidateJSON(t *testing.T) {
	r := runBinary(t, testDir(t), "", "validate", "bad.yaml", "good.yaml", "--json")
	var all []checked
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || r.code != 1 {
		t.Fatalf("exit code %d, %v in %q", r.code, err, r.out)
	}
	if len(all) != 2 || all[0].Valid || len(all[0].Errors) != 2 || all[0].Errors[1].Line != 2 || !all[1].Valid || all[1].Tree != "shop" {
		t.Errorf("got %+v", all)
	}
}

// TestTokenFile: the file may come late, and is whole once it is there.
func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tok")
	var said []string
	say := func(line string) {
		said = append(said, line)
		if err := writeAtomically(path, []byte("secret\n")); err != nil {
			t.Error(err)
		}
	}
	got, err := waitForFile(t.Context(), path, time.Minute, say)
	if err != nil || got != "secret" || len(said) != 1 || !strings.Contains(said[0], path) {
		t.Fatalf("got %q, %v, said %q", got, err, said)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the token file has mode %v, %v", st.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("something was left beside the token: %v", entries)
	}
	if _, err := waitForFile(t.Context(), filepath.Join(dir, "never"), 0, say); err == nil || !strings.Contains(err.Error(), "did not appear") {
		t.Errorf("got %v for a file that never comes", err)
	}
}
