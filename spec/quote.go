package spec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// plain are texts that YAML reads as themselves without quotes, in flow style
// too. Colons are left out, and so is everything that could be a number.
var plain = regexp.MustCompile(`^(--?)?[A-Za-z/.][A-Za-z0-9/._@%+=-]*$`)

// words of YAML that are no texts, in any spelling that some reader knows.
var yamlWords = map[string]bool{"true": true, "false": true, "null": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true}

// quote writes a text as YAML on one line.
func quote(s string) string {
	_, notNumber := strconv.ParseFloat(s, 64)
	if plain.MatchString(s) && !yamlWords[strings.ToLower(s)] && notNumber != nil && !strings.HasPrefix(strings.TrimLeft(s, "-"), ".") || plainPath(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainPath tells whether s is a path such as ./api or ../api.
func plainPath(s string) bool {
	return (strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")) && plain.MatchString(s)
}
