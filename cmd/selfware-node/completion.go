package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
)

// completeTime bounds what a shell waits for node names and paths.
const completeTime = 2 * time.Second

// The scripts ask the binary itself, by its hidden command, with the words that
// stand before the cursor and the one under it. It answers with one candidate a
// line, or with ":files" where file names are wanted.
var completionScripts = map[string]string{
	"bash": `# bash completion: source <(selfware-node completion bash)
_selfware_node() {
    local line candidates=()
    # The word under the cursor, as bash parted it (at = and : too).
    local current="${COMP_WORDS[COMP_CWORD]}"
    while IFS= read -r line; do
        if [ "$line" = ":files" ]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do candidates+=("$line"); done < <(compgen -f -- "$current")
        else
            candidates+=("$line")
        fi
    done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$current" 2>/dev/null)
    COMPREPLY=("${candidates[@]}")
}
complete -F _selfware_node selfware-node
`,
	"zsh": `#compdef selfware-node
# zsh completion: source <(selfware-node completion zsh), after compinit
_selfware_node() {
    local line
    local -a candidates
    while IFS= read -r line; do
        if [[ "$line" == ":files" ]]; then
            _files
        else
            candidates+=("$line")
        fi
    done < <("${words[1]}" complete -- "${words[@]:1:$((CURRENT-2))}" "${words[CURRENT]}" 2>/dev/null)
    (( ${#candidates} )) && compadd -- "${candidates[@]}"
}
compdef _selfware_node selfware-node
`,
	"fish": `# fish completion: selfware-node completion fish | source
function __selfware_node
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c selfware-node -f -a '(__selfware_node)'
`,
}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes commands, flags, nodes and paths in a shell", Category: catOther,
		ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			script, ok := completionScripts[c.Args().First()]
			if !ok {
				return usagef("cannot complete for %q: bash, zsh or fish", c.Args().First())
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}

// completeCommand is what the scripts call: all words of the command line up to
// the cursor, the last of them perhaps unfinished.
func completeCommand() *cli.Command {
	return &cli.Command{
		Name: "complete", Hidden: true, ArgsUsage: "[WORD...]",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) == 0 {
				words = []string{""}
			}
			k := completer{app: c.App, ctx: c.Context}
			for _, line := range k.candidates(words[:len(words)-1], words[len(words)-1]) {
				fmt.Fprintln(c.App.Writer, line)
			}
			return nil
		},
	}
}

type completer struct {
	app  *cli.App
	ctx  context.Context
	cmd  *cli.Command
	data string // of --data and --api so far
	api  string
	args int // positional arguments so far
}

// candidates are the words that may stand for the unfinished one.
func (k *completer) candidates(before []string, current string) []string {
	flag := k.read(before)
	var all []string
	switch {
	case flag != nil:
		all = k.values(flag)
	case strings.HasPrefix(current, "-"):
		all = k.flags()
	default:
		all = k.words()
	}
	var fit []string
	for _, w := range all {
		if strings.HasPrefix(w, current) || w == ":files" {
			fit = append(fit, w)
		}
	}
	return slices.Compact(fit)
}

// read finds the command, and the flag whose value comes next, if one does.
func (k *completer) read(words []string) (open cli.Flag) {
	a := arranger{app: k.app}
	for _, w := range words {
		switch {
		case open != nil:
			k.point(open, w)
			open = nil
		case strings.HasPrefix(w, "-") && w != "-":
			name, value, given := strings.Cut(strings.TrimLeft(w, "-"), "=")
			f, _ := a.find(name)
			if doc, ok := f.(cli.DocGenerationFlag); !ok || !doc.TakesValue() {
				continue
			}
			if open = f; given {
				k.point(f, value)
				open = nil
			}
		case len(a.below()) > 0:
			for _, c := range a.below() {
				if c.HasName(w) {
					a.chain = append(a.chain, c)
					break
				}
			}
		default:
			k.args++
		}
	}
	k.cmd = a.cmd()
	return open
}

// point notes which node the words so far speak of.
func (k *completer) point(f cli.Flag, value string) {
	switch f.Names()[0] {
	case "data":
		k.data = cmp.Or(k.data, value)
	case "api":
		k.api = value
	}
}

func (k *completer) flags() []string {
	a := arranger{app: k.app}
	if k.cmd != nil {
		a.chain = []*cli.Command{k.cmd}
	}
	names := slices.DeleteFunc(a.flagNames(), func(n string) bool { return !strings.HasPrefix(n, "--") })
	slices.Sort(names)
	return names
}

// values are those of a flag.
func (k *completer) values(f cli.Flag) []string {
	switch f.Names()[0] {
	case "profile":
		return []string{"fast", "lan", "wan"}
	case "delays":
		return []string{"typical", "worst"}
	case "stream":
		return []string{"both", "stderr", "stdout"}
	case "log-level":
		return []string{"debug", "error", "info", "warn"}
	case "to", "node":
		return k.nodes()
	case "data", "token-file", "file", "faults", "log", "policy":
		return []string{":files"}
	}
	return nil
}

// words are commands, or arguments of the command by what its usage calls them.
func (k *completer) words() []string {
	commands := k.app.Commands
	if k.cmd != nil {
		commands = k.cmd.Subcommands
	}
	if len(commands) > 0 {
		var names []string
		for _, c := range commands {
			if !c.Hidden {
				names = append(names, c.Name)
			}
		}
		slices.Sort(names)
		return names
	}
	kinds := strings.Fields(k.cmd.ArgsUsage)
	if len(kinds) == 0 || k.args >= len(kinds) && !strings.Contains(kinds[len(kinds)-1], "...") {
		return nil
	}
	switch kind := strings.Trim(kinds[min(k.args, len(kinds)-1)], "[]."); kind {
	case "NODE":
		return k.nodes()
	case "PATH":
		return k.paths(true)
	case "TREE":
		return k.paths(false)
	case "FILE", "TREE.yaml", "DIR", "OTHER-DIR":
		return []string{":files"}
	case "bash|zsh|fish":
		return strings.Split(kind, "|")
	}
	return nil
}

func (k *completer) status() api.Status {
	t, err := pointed(k.data, k.api)
	if err != nil {
		return api.Status{}
	}
	cl, err := clientOf(t)
	if err != nil {
		return api.Status{}
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(k.ctx, completeTime)
	defer cancel()
	st, _ := cl.Stale().Status(ctx) // no node, no names
	return st
}

func (k *completer) nodes() (names []string) {
	for _, n := range k.status().Nodes {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

// paths are trees and, if wanted, all that is in them.
func (k *completer) paths(below bool) (paths []string) {
	for _, t := range k.status().Trees {
		paths = append(paths, t.Name)
		for _, ch := range t.Children {
			parts := strings.Split(ch.Path, "/")
			for n := 2; below && n <= len(parts); n++ {
				paths = append(paths, strings.Join(parts[:n], "/"))
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
