package spec

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/selfware/selfware/supervisor"
)

// TestScripts runs testdata/*.txt. Directives:
//
//	parse [escapes] [json]  the errors of a file, or its canonical form. escapes
//	                        makes \t, \r, \xff and so on bytes of the file.
//	diff                    two files parted by a line ====, and their changes
//	words                   a command on each line, and its words
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "parse":
				return scriptParse(t, d)
			case "diff":
				return scriptDiff(t, d)
			case "words":
				return scriptWords(d.Input)
			}
			t.Fatalf("unknown directive %q", d.Cmd)
			return ""
		})
	})
}

func scriptParse(t *testing.T, d *datadriven.TestData) string {
	input := d.Input
	if d.HasArg("escapes") {
		input = strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\xff`, "\xff", `\x00`, "\x00", `\ufeff`, "\ufeff").Replace(input)
	}
	s, err := Parse("shop.yaml", []byte(input))
	if err != nil {
		checkErrors(t, err)
		return err.Error()
	}
	return string(Format(s))
}

// checkErrors holds what is true of every error of Parse.
func checkErrors(t *testing.T, err error) {
	t.Helper()
	var errs Errors
	if !errors.As(err, &errs) || len(errs) == 0 || len(errs) > MaxErrors {
		t.Fatalf("not 1 to %d errors: %v", MaxErrors, err)
	}
	for i, e := range errs {
		if e.File == "" || e.Line < 1 || e.Column < 1 || e.Msg == "" {
			t.Errorf("incomplete: %#v", e)
		}
		if i > 0 && (errs[i-1].Line > e.Line || errs[i-1].Line == e.Line && errs[i-1].Column > e.Column) {
			t.Errorf("not in order: %v", err)
		}
	}
}

func scriptDiff(t *testing.T, d *datadriven.TestData) string {
	old, new, _ := strings.Cut(d.Input+"\n", "====\n")
	read := func(text string) *supervisor.Spec {
		if strings.TrimSpace(text) == "" {
			return nil
		}
		s, err := Parse("shop.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	changes := Diff(read(old), read(new))
	if len(changes) == 0 {
		return "no change"
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

func scriptWords(input string) string {
	var lines []string
	for line := range strings.SplitSeq(input, "\n") {
		words, err := splitWords(strings.ReplaceAll(line, "⏎", "\n"))
		if err != nil {
			lines = append(lines, "error: "+err.Error())
			continue
		}
		lines = append(lines, strings.Join(words, "|"))
	}
	return strings.Join(lines, "\n")
}
