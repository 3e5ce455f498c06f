package api

import (
	"reflect"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

func TestNamesInSentences(t *testing.T) {
	n := names{"K7QID": "n1", "XYZ_2-a": "n2"}
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"shop/a runs on K7QID (pid 3)", "shop/a runs on n1 (pid 3)"},
		{"shop/a goes to XYZ_2-a: it has room", "shop/a goes to n2: it has room"},
		{"K7QID", "n1"},
		{"it ran on K7QID.", "it ran on n1."},
		{"K7QID, XYZ_2-a; “K7QID”", "n1, n2; “n1”"},
		{"K7QID2 and 1K7QID and K7QID-x", "K7QID2 and 1K7QID and K7QID-x"}, // other words
		{"shop/K7QID stops", "shop/K7QID stops"},                           // a child that is called so
		{"... ... .", "... ... ."},
		{"nothing here", "nothing here"},
	} {
		if got := n.text(c.in); got != c.want {
			t.Errorf("%q became %q, want %q", c.in, got, c.want)
		}
	}
}

func TestNamesInDecisions(t *testing.T) {
	n := names{"ID1": "n1", "ID2": "n2"}
	history := []supervisor.Decision{{
		Path: "shop/a", Node: "ID2", Sentence: "shop/a moves from ID1 to ID2",
		Cause: supervisor.Cause{Kind: supervisor.CauseNodeLost, Path: "ID1", Detail: "ID1 was silent"},
	}}
	got := n.decisions(history)
	want := []supervisor.Decision{{
		Path: "shop/a", Node: "n2", Sentence: "shop/a moves from n1 to n2",
		Cause: supervisor.Cause{Kind: supervisor.CauseNodeLost, Path: "n1", Detail: "n1 was silent"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if history[0].Node != "ID2" {
		t.Error("the history itself was changed: it belongs to the replicated state")
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"0", "12", "12.3", "", ".", "-1", "12.99999999999", "18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			return
		}
		if again, err := parseCursor(c.String()); err != nil || again != c {
			t.Errorf("%q is %+v, and again %+v (%v)", text, c, again, err)
		}
	})
}
