package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
)

// fakeNode answers the one question that completion asks.
func fakeNode(t *testing.T) (addr string) {
	t.Helper()
	st := api.Status{
		Nodes: []api.NodeStatus{{Name: "n2"}, {Name: "n1"}},
		Trees: []api.TreeStatus{{Name: "shop", Children: []api.ChildStatus{{Path: "shop/store"}, {Path: "shop/web/api"}}}},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			_ = json.NewEncoder(w).Encode(st)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestCompletion(t *testing.T) {
	at := "--api " + fakeNode(t) + " "
	tests := []struct{ before, current, want string }{
		{"", "st", "start status stop"},
		{"", "recov", "recover"},
		{"raft", "", "peers snapshot transfer"},
		{"raft snapshot", "", "restore save"},
		{"status", "--j", "--json"},
		{"status", "--", "--api --data --help --json --stale --version"},
		{"apply", "", ":files"},
		{"apply t.yaml", "", ""},
		{"validate t.yaml", "", ":files"},
		{"completion", "", "bash zsh fish"},
		{"--data", "", ":files"},
		{"init --profile", "", "fast lan wan"},
		{"logs --stream", "s", "stderr stdout"},
		{at + "drain", "", "n1 n2"},
		{at + "drain", "n1", "n1"},
		{at + "drain n1", "", ""},
		{at + "why", "", "shop shop/store shop/web shop/web/api"},
		{at + "why --json", "shop/w", "shop/web shop/web/api"},
		{at + "move shop/store --to", "", "n1 n2"},
		{at + "delete", "", "shop"},
		{"why --api 127.0.0.1:1", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.before+" "+tt.current, func(t *testing.T) {
			app := newApp(nil)
			app.Setup()
			k := completer{app: app, ctx: t.Context()}
			got := k.candidates(strings.Fields(tt.before), tt.current)
			if !slices.Equal(got, strings.Fields(tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCompletionInBash runs the script as a shell would.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	script := `source <("$1" completion bash)
COMP_WORDS=("$1" raft snapshot sa); COMP_CWORD=3
_selfware_node; echo "${COMPREPLY[@]}"
COMP_WORDS=("$1" ""); COMP_CWORD=1
_selfware_node; echo "${COMPREPLY[@]}"`
	out, err := exec.CommandContext(t.Context(), bash, "--norc", "-c", script, "bash", binary).CombinedOutput()
	lines := strings.Split(string(out), "\n")
	if err != nil || lines[0] != "save" || !strings.Contains(lines[1], " completion delete dev ") {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestHiddenCommandsStayHidden: the scripts' own command is no candidate.
func TestHiddenCommandsStayHidden(t *testing.T) {
	app := newApp(nil)
	app.Setup()
	k := completer{app: app, ctx: t.Context()}
	for _, c := range app.Commands {
		if listed := slices.Contains(k.candidates(nil, ""), c.Name); listed == c.Hidden {
			t.Errorf("%s: listed %v, hidden %v", c.Name, listed, c.Hidden)
		}
	}
}
