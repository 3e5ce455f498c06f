package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange rewrites a command line so that the flag package reads all of it: it
// stops at the first positional argument, and would take every flag after that
// for one more argument. Flags may stand anywhere after their command, those of
// the program anywhere at all; "--" ends them. What is not known, given twice,
// too much or too little is refused here, with what was probably meant.
func arrange(app *cli.App, args []string) ([]string, error) {
	app.Setup()
	a := arranger{app: app, seen: make(map[string]bool)}
	for a.rest = args[1:]; len(a.rest) > 0; {
		word := a.rest[0]
		a.rest = a.rest[1:]
		var err error
		switch {
		case a.ended || !strings.HasPrefix(word, "-") || word == "-":
			err = a.word(word)
		case word == "--":
			a.ended = true
		default:
			err = a.flag(word)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := a.complete(); err != nil {
		return nil, err
	}
	out := slices.Concat([]string{args[0]}, a.global, a.path, a.own)
	if a.cmd() == nil {
		return out, nil
	}
	return slices.Concat(out, []string{"--"}, a.words), nil
}

type arranger struct {
	app   *cli.App
	rest  []string
	ended bool // "--" was read
	help  bool

	chain  []*cli.Command // the command, from the outside in
	path   []string       // its name
	global []string       // flags of the program
	own    []string       // flags of the command
	words  []string       // positional arguments
	seen   map[string]bool
}

func (a *arranger) cmd() *cli.Command {
	if len(a.chain) == 0 {
		return nil
	}
	return a.chain[len(a.chain)-1]
}

// below are the commands that the next word may name; none means it is an
// argument.
func (a *arranger) below() []*cli.Command {
	if c := a.cmd(); c != nil {
		return c.Subcommands
	}
	return a.app.Commands
}

func (a *arranger) called() string {
	return strings.Join(append([]string{a.app.Name}, a.path...), " ")
}

func (a *arranger) word(word string) error {
	commands := a.below()
	if len(commands) == 0 {
		a.words = append(a.words, word)
		return nil
	}
	if word == "help" && len(a.chain) == 0 {
		a.setHelp()
		return nil
	}
	var names []string
	for _, c := range commands {
		if c.HasName(word) {
			a.chain, a.path = append(a.chain, c), append(a.path, c.Name)
			return nil
		}
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	return usagef("unknown command %q%s; `%s --help` lists all", word, meant(word, names), a.called())
}

func (a *arranger) setHelp() { a.help = true }

// flag reads one flag and, if it takes one, its value.
func (a *arranger) flag(word string) error {
	name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if name == "help" || name == "h" {
		a.setHelp()
		return nil
	}
	f, global := a.find(name)
	if f == nil {
		return usagef("unknown flag %s%s; `%s --help` lists all", dashed(name), meant(dashed(name), a.flagNames()), a.called())
	}
	name = f.Names()[0]
	_, many := f.(*cli.StringSliceFlag)
	if a.seen[name] && !many {
		return usagef("flag %s is given twice", dashed(name))
	}
	a.seen[name] = true
	if doc, ok := f.(cli.DocGenerationFlag); ok && doc.TakesValue() && !hasValue {
		if len(a.rest) == 0 {
			return usagef("flag %s needs a value", dashed(name))
		}
		value, hasValue, a.rest = a.rest[0], true, a.rest[1:]
		if strings.HasPrefix(value, "-") && value != "-" {
			return usagef("flag %s needs a value; write %s=%s if that is it", dashed(name), dashed(name), value)
		}
	}
	text := "--" + name
	if hasValue {
		text += "=" + value
	}
	if global {
		a.global = append(a.global, text)
	} else {
		a.own = append(a.own, text)
	}
	return nil
}

// find looks a flag up, the command's before the program's.
func (a *arranger) find(name string) (f cli.Flag, global bool) {
	has := func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }
	if c := a.cmd(); c != nil {
		if i := slices.IndexFunc(c.Flags, has); i >= 0 {
			return c.Flags[i], false
		}
	}
	if i := slices.IndexFunc(a.app.Flags, has); i >= 0 {
		return a.app.Flags[i], true
	}
	return nil, false
}

func (a *arranger) flagNames() []string {
	flags := slices.Clone(a.app.Flags)
	if c := a.cmd(); c != nil {
		flags = append(flags, c.Flags...)
	}
	var names []string
	for _, f := range flags {
		for _, n := range f.Names() {
			names = append(names, dashed(n))
		}
	}
	return append(names, "--help")
}

// complete checks the number of arguments against the command's ArgsUsage.
func (a *arranger) complete() error {
	c := a.cmd()
	switch {
	case a.help && c == nil:
		a.global = append(a.global, "--help")
		return nil
	case a.help:
		a.own, a.words = []string{"--help"}, nil
		return nil
	case c == nil:
		return nil
	case len(c.Subcommands) > 0:
		return usagef("%s needs a command; `%s --help` lists all", a.called(), a.called())
	}
	least, most := 0, 0
	var missing string
	for _, w := range strings.Fields(c.ArgsUsage) {
		if strings.HasSuffix(strings.TrimSuffix(w, "]"), "...") {
			most = 1 << 20
		}
		if most++; !strings.HasPrefix(w, "[") {
			if least++; least == len(a.words)+1 {
				missing = w
			}
		}
	}
	switch n := len(a.words); {
	case n < least:
		return usagef("%s is missing: %s", strings.TrimSuffix(missing, "..."), a.usage(c))
	case n > most:
		return usagef("argument %q is too much: %s", a.words[most], a.usage(c))
	}
	return nil
}

func (a *arranger) usage(c *cli.Command) string {
	return strings.TrimSpace(a.called() + " " + c.ArgsUsage)
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// meant names the word that is near enough to have been meant.
func meant(word string, names []string) string {
	best, least := "", 1+len(strings.TrimLeft(word, "-"))/3
	for _, n := range names {
		if d := distance(word, n); d <= least && (best == "" || d < least) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance counts the letters to insert, drop, replace or swap.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
