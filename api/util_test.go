package api_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

func parsed(t *testing.T, text string) *supervisor.Spec {
	t.Helper()
	tree := must(spec.Parse("test.yaml", []byte(text)))(t)
	return &tree
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newRequest(t *testing.T, method, url, body string, change ...func(*http.Request)) *http.Request {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body)))(t)
	for _, c := range change {
		c(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	return string(must(io.ReadAll(res.Body))(t))
}

// wantCode checks that an error is a Problem of a code, with these words in it.
func wantCode(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no problem, want code %s", err, code)
	}
	if p.Code != code {
		t.Errorf("code %s (%s), want %s", p.Code, p.Detail, code)
	}
	for _, w := range words {
		if !strings.Contains(p.Detail, w) {
			t.Errorf("detail %q does not say %q", p.Detail, w)
		}
	}
}
