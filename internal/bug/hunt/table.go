package main

import (
	"fmt"
	"os"
	"strings"
)

// The table stands between these lines of its file.
const (
	tableBegins = "<!-- seeded bugs, by make bugs -->\n"
	tableEnds   = "<!-- end of the seeded bugs -->\n"
)

// write puts the table in its place in a file.
func write(file string, results []result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for it, between %q and %q", file, tableBegins, tableEnds)
	}
	return os.WriteFile(file, []byte(before+tableBegins+table(results)+tableEnds+after), 0o644)
}

func table(results []result) string {
	var b strings.Builder
	b.WriteString(`
| bug | what it does | promise | caught by | s | simulation |
|---|---|---|---|---|---|
`)
	for _, r := range results {
		took := fmt.Sprintf("%.1f", r.took.Seconds())
		if !r.caught || r.err != nil {
			took = "**not caught**"
		}
		by := fmt.Sprintf("`%s` of `%s`", r.bug.test, r.bug.pkg)
		if r.explored != "" {
			by += "; exploration: " + r.explored
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.bug.name, r.bug.what, r.bug.promise, by, took, r.simulated)
	}
	b.WriteString("\n")
	return b.String()
}
