package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/selfware/selfware/supervisor"
)

// TestEveryField compares the key tables with the types of package supervisor:
// each field has a key, and each key sets a field that exists.
func TestEveryField(t *testing.T) {
	byKeys := make(map[string]bool)
	collect(byKeys, treeTable)
	collect(byKeys, childTable)
	collect(byKeys, policyTable)
	collect(byKeys, backoffTable)
	collect(byKeys, exponentialTable)
	collect(byKeys, retryTable)
	collect(byKeys, supervisorTable)
	collect(byKeys, probeTable)
	collect(byKeys, livenessTable)
	collect(byKeys, limitTable)
	collect(byKeys, updateTable)
	collect(byKeys, poolTable)
	delete(byKeys, "Pool.Template") // it is the child itself
	// Fields that hold others rather than a value of their own.
	for _, parts := range []string{"ChildSpec.Placement", "ChildSpec.Program", "ChildSpec.Exits"} {
		byKeys[parts] = true
	}
	byTypes := make(map[string]bool)
	fieldsOf(byTypes, reflect.TypeFor[supervisor.Spec]())
	keys, types := slices.Sorted(maps.Keys(byKeys)), slices.Sorted(maps.Keys(byTypes))
	if !slices.Equal(keys, types) {
		t.Errorf("keys set\n%v\nbut supervisor has\n%v", keys, types)
	}
}

func collect[T any](into map[string]bool, t table[T]) {
	for _, e := range t.entries {
		into[e.field] = true
	}
}

// fieldsOf notes Type.Field of a struct and of all structs in it.
func fieldsOf(into map[string]bool, typ reflect.Type) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		fieldsOf(into, typ.Elem())
	case reflect.Struct:
		for f := range typ.Fields() {
			name := typ.Name() + "." + f.Name
			if !into[name] {
				into[name] = true
				fieldsOf(into, f.Type)
			}
		}
	}
}

// TestRestartKeys holds the promise of Diff: a worker restarts iff its Program or
// Placement changed, and a supervisor has neither; or if it is exclusive now and was
// not, or the other way round, which the key alone does not tell.
func TestRestartKeys(t *testing.T) {
	for _, e := range childTable.entries {
		part := strings.HasPrefix(e.field, "Program.") || strings.HasPrefix(e.field, "Placement.")
		if e.restarts != part || part && !e.worker {
			t.Errorf("%s sets %s: restarts %v, worker %v", e.name, e.field, e.restarts, e.worker)
		}
	}
}

// TestSchemaText checks that the schema is JSON in which every key is
// documented, and that each default and example is of its own type.
func TestSchemaText(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Schema(), Schema()) {
		t.Error("the schema is not the same every time")
	}
	v := validator{root: root}
	keys := 0
	var walk func(path string, schema any)
	walk = func(path string, schema any) {
		switch s := schema.(type) {
		case map[string]any:
			if props, ok := s["properties"].(map[string]any); ok {
				for name, p := range props {
					keys++
					v.documented(t, path+"."+name, p.(map[string]any))
				}
			}
			for name, inner := range s {
				walk(path+"."+name, inner)
			}
		case []any:
			for i, inner := range s {
				walk(fmt.Sprintf("%s[%d]", path, i), inner)
			}
		}
	}
	walk("", root)
	if keys < len(treeTable.entries)+len(childTable.entries)+len(probeTable.entries) {
		t.Errorf("only %d keys found", keys)
	}
}

func (v validator) documented(t *testing.T, path string, p map[string]any) {
	if s, _ := p["description"].(string); len(s) < 10 {
		t.Errorf("%s has no description", path)
	}
	examples, _ := p["examples"].([]any)
	if len(examples) == 0 {
		t.Errorf("%s has no examples", path)
	}
	if def, ok := p["default"]; ok {
		examples = append(examples, def)
	}
	for _, e := range examples {
		if fault := v.check(p, e); fault != "" {
			t.Errorf("%s: example or default %v: %s", path, e, fault)
		}
	}
}

// TestSchemaAgrees runs every file of the scripts through the schema. What
// Parse accepts, the schema accepts; what the schema refuses, Parse refuses.
func TestSchemaAgrees(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	v, agreed := validator{root: root}, make(map[bool]int)
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "parse" || d.HasArg("escapes") {
				return d.Expected
			}
			n, fault := readYAML(d.Input)
			if fault != nil {
				return d.Expected
			}
			_, err := Parse("shop.yaml", []byte(d.Input))
			if refused := v.check(root, n.json()); refused != "" && err == nil {
				t.Errorf("%s: the schema refuses what Parse accepts: %s", d.Pos, refused)
			} else {
				agreed[refused == ""]++
			}
			return d.Expected
		})
	})
	if agreed[true] < 5 || agreed[false] < 5 {
		t.Errorf("too few files: %v", agreed)
	}
}

// validator knows the part of JSON Schema that ours uses, and refuses to look
// at any other.
type validator struct{ root map[string]any }

func (v validator) check(s map[string]any, value any) string {
	for word, arg := range s {
		fault := ""
		switch word {
		case "$schema", "$defs", "title", "description", "examples", "default":
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/$defs/")
			fault = v.check(v.root["$defs"].(map[string]any)[name].(map[string]any), value)
		case "anyOf", "oneOf", "not":
			fault = v.combined(word, arg, value)
		case "type", "enum", "const", "minimum", "exclusiveMinimum", "maximum", "pattern", "minLength", "maxLength":
			fault = scalarFault(word, arg, value)
		default:
			fault = v.container(word, arg, s, value)
		}
		if fault != "" {
			return fault
		}
	}
	return ""
}

func (v validator) combined(word string, arg, value any) string {
	if word == "not" {
		if v.check(arg.(map[string]any), value) == "" {
			return fmt.Sprintf("%v is what it must not be", value)
		}
		return ""
	}
	fits, last := 0, ""
	for _, s := range arg.([]any) {
		if last = v.check(s.(map[string]any), value); last == "" {
			fits++
		}
	}
	if fits == 0 || word == "oneOf" && fits > 1 {
		return fmt.Sprintf("%d of %s fit %v (%s)", fits, word, value, last)
	}
	return ""
}

func scalarFault(word string, arg, value any) string {
	number, isNumber := value.(float64)
	text, isText := value.(string)
	ok := true
	switch word {
	case "type":
		types, many := arg.([]any)
		if !many {
			types = []any{arg}
		}
		ok = slices.ContainsFunc(types, func(name any) bool { return isType(name.(string), value) })
	case "enum":
		ok = slices.ContainsFunc(arg.([]any), func(e any) bool { return reflect.DeepEqual(e, value) })
	case "const":
		ok = arg == value
	case "minimum":
		ok = !isNumber || number >= arg.(float64)
	case "exclusiveMinimum":
		ok = !isNumber || number > arg.(float64)
	case "maximum":
		ok = !isNumber || number <= arg.(float64)
	case "pattern":
		ok = !isText || regexp.MustCompile(arg.(string)).MatchString(text)
	case "minLength":
		ok = !isText || len(text) >= int(arg.(float64))
	case "maxLength":
		ok = !isText || len(text) <= int(arg.(float64))
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%v against %s %v", value, word, arg)
}

func isType(name string, value any) bool {
	switch v := value.(type) {
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	case bool:
		return name == "boolean"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return name == "null"
}

func (v validator) container(word string, arg any, s map[string]any, value any) string {
	object, _ := value.(map[string]any)
	list, _ := value.([]any)
	props, _ := s["properties"].(map[string]any)
	switch word {
	case "items":
		for _, item := range list {
			if fault := v.check(arg.(map[string]any), item); fault != "" {
				return fault
			}
		}
	case "maxItems":
		if len(list) > int(arg.(float64)) {
			return "too many items"
		}
	case "minProperties", "maxProperties":
		if object != nil && (word[:3] == "min") == (len(object) < int(arg.(float64))) && len(object) != int(arg.(float64)) {
			return fmt.Sprintf("%d keys against %s", len(object), word)
		}
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := object[name.(string)]; object != nil && !ok {
				return "no " + name.(string)
			}
		}
	case "properties":
		for name, p := range props {
			if inner, ok := object[name]; ok {
				if fault := v.check(p.(map[string]any), inner); fault != "" {
					return name + ": " + fault
				}
			}
		}
	case "propertyNames", "additionalProperties":
		return v.names(word, arg, props, object)
	default:
		return "the test does not know the keyword " + word
	}
	return ""
}

func (v validator) names(word string, arg any, props, object map[string]any) string {
	for name, inner := range object {
		schema, isSchema := arg.(map[string]any)
		switch {
		case word == "propertyNames":
			inner = name
		case props[name] != nil:
			continue
		case !isSchema:
			return "unknown key " + name
		}
		if fault := v.check(schema, inner); fault != "" {
			return name + ": " + fault
		}
	}
	return ""
}

// TestDefaults pins the defaults that other packages rely on.
func TestDefaults(t *testing.T) {
	s, err := Parse("t.yaml", []byte("name: t\nchildren: [{id: a, run: ./a, probe: {tcp: 'h:1'}}]"))
	if err != nil {
		t.Fatal(err)
	}
	want := supervisor.Spec{Name: "t", Strategy: supervisor.OneForOne, RestartPolicy: supervisor.DefaultRestartPolicy(),
		Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent,
			Placement: supervisor.Placement{Mode: supervisor.SpreadOut},
			Program: &supervisor.Program{Argv: []string{"./a"}, StopSignal: "SIGTERM", Grace: 10 * time.Second,
				Probe: &supervisor.Probe{TCP: "h:1", Interval: 250 * time.Millisecond, Timeout: time.Second, StartTimeout: time.Minute, SuccessThreshold: 1}}}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v\nwant %+v", s, want)
	}
}
