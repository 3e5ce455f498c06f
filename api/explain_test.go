package api_test

import (
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/cluster"
)

// TestExplain: of a path, of a tree, of all trees; with the gaps of the cluster's own
// profile, and whether and through whom each child is exclusive.
func TestExplain(t *testing.T) {
	w := shopWorld(t, 3)
	c := w.nodes[2].client(t)
	must(c.Apply(t.Context(), "bank", "name: bank\nexclusive: true\nchildren: [{id: ledger, run: ./ledger, restart_type: temporary}]", "ann"))(t)
	for path, want := range map[string][]string{
		"": {"bank/ledger", "shop/store", "shop/web/api"}, "shop": {"shop/store", "shop/web/api"},
		"shop/web": {"shop/web/api"}, "shop/store": {"shop/store"},
	} {
		e := must(c.Explain(t.Context(), path))(t)
		var got []string
		for _, ch := range e.Children {
			got = append(got, ch.Path)
			shared := must(cluster.GapsOf("lan", ch.Exclusive))(t)
			if len(ch.Gaps) != len(shared) || ch.Gaps[0].Longest != shared[0].Length() || e.Profile != "lan" {
				t.Errorf("%q: %+v", path, ch)
			}
			if ledger := ch.Path == "bank/ledger"; ch.Exclusive != ledger || ledger && (ch.By != "bank" || ch.Note == "") {
				t.Errorf("%q: %+v", path, ch)
			}
		}
		if len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%q explains %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"nobody", "shop/nobody"} {
		_, err := c.Explain(t.Context(), path)
		wantCode(t, err, api.CodeNotFound)
	}
}
