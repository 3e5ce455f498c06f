package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// TestQuote writes and reads texts that YAML gives a meaning of its own, and
// every character of the basic plane at the start, in the middle and at the end.
func TestQuote(t *testing.T) {
	texts := []string{"true", "No", "null", "~", "1", "1.5", "0x10", "1e3", ".5", ".inf", ".nan", "Infinity", "nan", "-", "--", "---", "-x", "--x",
		"-1", "-.5", "<<", "=", "*a", "&a", "!a", "@a", "`a", "%a", "#a", "a #b", "a: b", "a:", ":a", "? a", "[a]", "{a}", "a,b", "'a'", `"a"`, `\n`,
		"a\n", "\na", "a\n\nb", " a", "a ", "\ta", "a\t", "./a", "../a", "...", "..", ".", "/", "😀", "a\u2028b", "\u0085", "\ufeffa", "2020-01-01", "12:30:45", "0o17", "1_000", "é"}
	for r := rune(1); r < 0x10000; r++ {
		if r < 0xd800 || r > 0xdfff {
			texts = append(texts, string(r)+"x"+string(r)+"y "+string(r))
		}
	}
	const batch = 900
	for len(texts) > 0 {
		n := min(batch, len(texts))
		checkTexts(t, texts[:n])
		texts = texts[n:]
	}
}

func checkTexts(t *testing.T, texts []string) {
	t.Helper()
	env := make(map[string]string)
	for i, text := range texts {
		env[strings.ReplaceAll(text, "=", "_")] = fmt.Sprint(i)
	}
	want := supervisor.Spec{Name: "t", Strategy: supervisor.OneForOne, RestartPolicy: supervisor.DefaultRestartPolicy(),
		Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent, Placement: supervisor.Placement{Mode: supervisor.SpreadOut},
			Program: &supervisor.Program{Argv: texts, Env: env, StopSignal: "SIGTERM", Grace: supervisor.DefaultGrace}}}}
	got, err := Parse("t.yaml", Format(want))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i, text := range got.Children[0].Program.Argv {
		if text != texts[i] {
			t.Errorf("%q became %q", texts[i], text)
		}
	}
	if !reflect.DeepEqual(got, want) && !t.Failed() {
		t.Error("the variables changed")
	}
}
