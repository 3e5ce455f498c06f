package e2e

import (
	"testing"

	"github.com/selfware/selfware/cluster/mux"
)

// forge gives a token of the same cluster with another key.
func forge(t *testing.T, token string) string {
	t.Helper()
	tok, err := mux.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	tok.Key = mux.NewKey()
	return tok.Encode()
}
