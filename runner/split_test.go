package runner

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var splitCases = []struct {
	line string
	want []string
}{
	{"", nil},
	{" \t\n ", nil},
	{"a", []string{"a"}},
	{"  a  b\tc\nd ", []string{"a", "b", "c", "d"}},
	{`''`, []string{""}},
	{`a '' ""`, []string{"a", "", ""}},
	{`'a b' "c d"`, []string{"a b", "c d"}},
	{`a'b'"c"d`, []string{"abcd"}},
	{`'a\b"c'`, []string{`a\b"c`}},
	{`"a\"b\\c\d'"`, []string{`a"b\c\d'`}},
	{`"\$x\` + "`" + `"`, []string{"$x`"}},
	{`a\ b \'c\' \"`, []string{"a b", "'c'", `"`}},
	{"a\\\nb", []string{"ab"}},
	{"a \\\n b", []string{"a", "b"}},
	{"\"a\\\nb\"", []string{"ab"}},
	{`\\`, []string{`\`}},
	{"ünï 'cö de'", []string{"ünï", "cö de"}},
	{"redis-server --port 6379", []string{"redis-server", "--port", "6379"}},
}

func TestSplitCommand(t *testing.T) {
	for _, c := range splitCases {
		if got, err := SplitCommand(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.line, got, err, c.want)
		}
		out, err := exec.Command("sh", "-c", `for w in `+c.line+`
do printf '%s\0' "$w"; done`).Output()
		if want := strings.Join(append(slices.Clone(c.want), ""), "\x00"); err == nil && len(c.want) > 0 && string(out) != want {
			t.Errorf("%q: the shell says %q, the table %q", c.line, out, want)
		}
	}
	if got, err := SplitCommand("echo $HOME *.go ; a|b # c"); err != nil || !slices.Equal(got, []string{"echo", "$HOME", "*.go", ";", "a|b", "#", "c"}) {
		t.Errorf("something was expanded: %q, %v", got, err)
	}
}

func TestSplitCommandErrorsSayWhere(t *testing.T) {
	for line, want := range map[string]string{
		`a 'b`:     "quote ' at position 3",
		`a "b\"`:   `quote " at position 3`,
		`ab'c'"d'`: `quote " at position 6`,
		`a \`:      "backslash at position 3",
	} {
		if got, err := SplitCommand(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want an error with %q", line, got, err, want)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	for _, c := range splitCases {
		f.Add(c.line)
	}
	f.Add(`a 'b`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := SplitCommand(line)
		if err != nil {
			if words != nil || !strings.HasPrefix(err.Error(), "cannot split command: ") {
				t.Fatalf("got %q with %v", words, err)
			}
			return
		}
		// Quoting the words again must give them back.
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := SplitCommand(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Fatalf("%q: %q became %q, %v", line, words, again, err)
		}
	})
}
