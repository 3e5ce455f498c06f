package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version, Description string }
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Tags        []string
		Parameters  []struct {
			Name, In, Description string
			Schema                map[string]any
		}
		RequestBody *struct{ Content map[string]any } `json:"requestBody"`
		Responses   map[string]struct {
			Description string
			Content     map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]any }
}

func TestOpenAPI(t *testing.T) {
	w := newWorld(t, 1)
	res := get(t, "GET", w.nodes[0].web.URL+"/openapi.json", "")
	text := read(t, res)
	var doc document
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Title != "selfware" || doc.Info.Version != "v1" {
		t.Errorf("OpenAPI %s, %+v", doc.OpenAPI, doc.Info)
	}
	var list, ids []string
	for path, ops := range doc.Paths {
		for method, op := range ops {
			line := fmt.Sprintf("%-6s %s (%s)", strings.ToUpper(method), path, op.OperationID)
			ids = append(ids, op.OperationID)
			for _, p := range op.Parameters {
				line += fmt.Sprintf(" %s:%s", p.In, p.Name)
				if p.Description == "" || p.Schema == nil {
					t.Errorf("%s: parameter %s is not described", line, p.Name)
				}
			}
			list = append(list, line)
			if op.Summary == "" || len(op.Tags) != 1 || op.OperationID == "" {
				t.Errorf("%s is not described: %+v", line, op)
			}
			if len(op.Responses["200"].Content) != 1 || op.Responses["200"].Description == "" {
				t.Errorf("%s: its answer is not described: %+v", line, op.Responses)
			}
			fault := op.Responses["default"].Content["application/problem+json"].Schema["$ref"]
			if fault != "#/components/schemas/Problem" {
				t.Errorf("%s: its errors are %v", line, op.Responses)
			}
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(list) {
		t.Errorf("operation ids are not unique: %q", ids)
	}
	checkRefs(t, text, doc)
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(a[7:], b[7:]) })
	golden(t, "operations.txt", strings.Join(list, "\n")+"\n")
}

// checkRefs: every reference of the document leads to a schema.
func checkRefs(t *testing.T, text string, doc document) {
	t.Helper()
	for _, part := range strings.Split(text, `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if doc.Components.Schemas[name] == nil {
			t.Errorf("the schema %s is missing", name)
		}
	}
}

// golden compares with a file under testdata; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(must(os.ReadFile(path))(t)); got != want {
		t.Errorf("%s has changed; if that is meant, run the test with UPDATE=1. Got:\n%s", path, got)
	}
}

func TestNoPageLoadsFromOtherSites(t *testing.T) {
	w := newWorld(t, 1)
	for _, path := range []string{"/docs", "/", "/schemas/Status"} {
		if res := get(t, "GET", w.nodes[0].web.URL+path, ""); res.StatusCode != 404 {
			t.Errorf("%s has status %d", path, res.StatusCode)
		}
	}
}
