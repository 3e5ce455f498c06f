package spec

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// signals that stop_signal may name: all that can end a program.
var signals = []string{"TERM", "INT", "QUIT", "HUP", "KILL", "ABRT", "USR1", "USR2", "ALRM", "PIPE", "PWR", "WINCH",
	"IO", "PROF", "VTALRM", "SYS", "TRAP", "XCPU", "XFSZ", "STKFLT"}

// limitNames are the resources of setrlimit(2), as ulimit names them.
var limitNames = []string{"as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc",
	"rss", "rtprio", "rttime", "sigpending", "stack"}

// signalKind accepts TERM and SIGTERM and keeps the latter.
func signalKind() kind[string] {
	var long []string
	for _, s := range signals {
		long = append(long, "SIG"+s)
	}
	var words []any
	for _, s := range append(slices.Clone(signals), long...) {
		words = append(words, s)
	}
	return kind[string]{
		schema: map[string]any{"enum": words},
		read: func(r *reader, n *node) (string, bool) {
			name := strings.TrimPrefix(n.text, "SIG")
			if n.is == textValue && slices.Contains(signals, name) {
				return "SIG" + name, true
			}
			candidates := signals
			if strings.HasPrefix(strings.ToUpper(n.text), "SIG") {
				candidates = long
			}
			hint := didYouMean(n.text, candidates)
			if hint == "" {
				hint = "such as SIGTERM, INT or QUIT"
			}
			r.want(n, "the name of a signal that ends a program", hint)
			return "", false
		},
		write: quote,
	}
}

func envKind() kind[map[string]string] {
	return dictKind("a map of variables, such as {PORT: 8080}", scalarKind(), func(name string) string {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Sprintf("%q cannot be the name of a variable", short(name))
		}
		return ""
	})
}

func needsKind() kind[map[string]string] {
	return dictKind("a map of labels, such as {disk: ssd}", scalarKind(), func(name string) string {
		if name == "" {
			return "a label has no name"
		}
		return ""
	})
}

func limitsKind() kind[map[string]supervisor.Limit] {
	k := dictKind("a map of limits, such as {nofile: 1024}", limitKind(), func(name string) string {
		if slices.Contains(limitNames, name) {
			return ""
		}
		hint := didYouMean(name, limitNames)
		if hint == "" {
			hint = "use one of " + strings.Join(limitNames, ", ")
		}
		return fmt.Sprintf("unknown limit %q; %s", short(name), hint)
	})
	k.schema["propertyNames"] = map[string]any{"enum": limitNames}
	return k
}

// apartKind is a list of children; resolve makes the paths absolute.
func apartKind() kind[[]string] { return listKind("a child or a list of children") }

// backoffKind is a map with exactly one of exponential and fixed.
func backoffKind() kind[supervisor.Backoff] {
	k := backoffTable.kind()
	k.schema["minProperties"], k.schema["maxProperties"] = 1, 1
	return kind[supervisor.Backoff]{
		schema: k.schema,
		read: func(r *reader, n *node) (supervisor.Backoff, bool) {
			b, ok := k.read(r, n)
			switch {
			case !ok:
			case (b.exponential == nil) == (b.fixed == nil):
				r.fail(n, "write {fixed: 1s} or {exponential: {base: 1s, max: 60s}}", "%s needs exactly one of exponential and fixed", r.key)
			case b.fixed != nil:
				return supervisor.Backoff{Kind: supervisor.Fixed, Base: *b.fixed}, true
			case b.exponential.Base > b.exponential.Max:
				r.fail(n, "", "%s: base %s is longer than max %s", r.key, duration(b.exponential.Base), duration(b.exponential.Max))
			default:
				b.exponential.Kind = supervisor.Exponential
				return *b.exponential, true
			}
			return supervisor.Backoff{}, false
		},
		write: func(b supervisor.Backoff) string {
			if b.Kind == supervisor.Exponential {
				return k.write(backoffDraft{exponential: &b})
			}
			return k.write(backoffDraft{fixed: &b.Base})
		},
	}
}

// policyKind is a restart policy whose budget can be spent.
func policyKind() kind[supervisor.RestartPolicy] {
	k := policyTable.kind()
	read := k.read
	k.read = func(r *reader, n *node) (supervisor.RestartPolicy, bool) {
		p, ok := read(r, n)
		if !ok {
			return p, false
		}
		for _, key := range []string{"backoff", "max_seconds", "max_restarts"} {
			if named, given := n.get(key); given {
				n = named.value
			}
		}
		return p, r.checkWindow(n, p, p.MaxRestarts)
	}
	return k
}

// exhaustedKind is the word stop (0) or {retry_after: d}.
func exhaustedKind() kind[time.Duration] {
	again := retryTable.kind()
	return kind[time.Duration]{
		schema: map[string]any{"anyOf": []any{map[string]any{"const": "stop"}, again.schema}},
		read: func(r *reader, n *node) (time.Duration, bool) {
			if n.is == mapValue {
				d, ok := again.read(r, n)
				return d.after, ok
			}
			if n.is == textValue && n.text == "stop" {
				return 0, true
			}
			r.want(n, "stop or {retry_after: 5m}", didYouMean(n.text, []string{"stop"}))
			return 0, false
		},
		write: func(d time.Duration) string {
			if d == 0 {
				return "stop"
			}
			return again.write(retryDraft{d})
		},
	}
}

// oneOfKind is a map that has exactly one of some of its keys.
func oneOfKind[V any](k kind[*V], sorts []string) kind[*V] {
	read := k.read
	var choices []any
	for _, s := range sorts {
		choices = append(choices, map[string]any{"required": []any{s}})
	}
	k.schema["oneOf"] = choices
	k.read = func(r *reader, n *node) (*V, bool) {
		v, ok := read(r, n)
		var given []string
		for _, s := range sorts {
			if _, has := n.get(s); has {
				given = append(given, s)
			}
		}
		if n.is == mapValue && len(given) != 1 {
			has := "none"
			if len(given) > 0 {
				has = strings.Join(given, " and ")
			}
			r.fail(n, "", "%s needs exactly one of %s; it has %s", r.key, anyOf(sorts), has)
			return nil, false
		}
		return v, ok && r.asksNobody(n)
	}
	return k
}

// asksNobody refuses keys that say how to ask, where the program speaks by itself.
func (r *reader) asksNobody(n *node) bool {
	before := len(r.errs)
	for _, told := range []string{"notify", "heartbeat"} {
		if _, has := n.get(told); !has {
			continue
		}
		for _, key := range askingKeys {
			if p, has := n.get(key); has {
				r.fail(p.key, "leave it out", "%s means nothing with %s: the program is not asked, it speaks by itself", key, told)
			}
		}
	}
	return len(r.errs) == before
}

// unset is a kind whose zero value means that there is none.
func unset[V comparable](k kind[V]) kind[V] {
	write := k.write
	k.write = func(v V) string {
		if v == *new(V) {
			return ""
		}
		return write(v)
	}
	return k
}

// trueKind is true: the key says it all.
func trueKind() kind[bool] {
	k := boolKind()
	read := k.read
	k = unset(k)
	k.schema = map[string]any{"const": true}
	k.read = func(r *reader, n *node) (bool, bool) {
		v, ok := read(r, n)
		if ok && !v {
			r.want(n, "true", "or leave it out")
		}
		return v, ok && v
	}
	return k
}

// anyOf lists names: "a, b and c".
func anyOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func probeKind() kind[*supervisor.Probe] { return oneOfKind(optional(probeTable.kind()), probeSorts) }

func livenessKind() kind[*supervisor.Liveness] {
	return oneOfKind(optional(livenessTable.kind()), livenessSorts)
}

// grpcKind is host:port or host:port/service.
func grpcKind() kind[string] {
	k := textKind()
	k.schema = map[string]any{"type": "string", "pattern": "^[^/]+:[0-9]+(/.+)?$"}
	k.read = func(r *reader, n *node) (string, bool) {
		s, ok := readText(r, n)
		if !ok {
			return "", false
		}
		address, service, named := strings.Cut(s, "/")
		if !validHostPort(address) || named && service == "" {
			r.want(n, "host:port or host:port/service, with a port from 1 to 65535", "such as 127.0.0.1:9090/shop.Cart")
			return "", false
		}
		return s, true
	}
	return k
}

// validHostPort tells whether s names a host and a port.
func validHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	return err == nil && notNumber == nil && number != 0 && host != ""
}

func hostPortKind() kind[string] {
	k := textKind()
	k.schema = map[string]any{"type": "string", "pattern": "^.+:[0-9]+$"}
	k.read = func(r *reader, n *node) (string, bool) {
		s, ok := readText(r, n)
		if !ok {
			return "", false
		}
		if !validHostPort(s) {
			r.want(n, "host:port with a port from 1 to 65535", "such as 127.0.0.1:6379")
			return "", false
		}
		return s, true
	}
	return k
}

func urlKind() kind[string] {
	k := textKind()
	k.schema = map[string]any{"type": "string", "pattern": "^https?://.+"}
	k.read = func(r *reader, n *node) (string, bool) {
		s, ok := readText(r, n)
		if !ok {
			return "", false
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			r.want(n, "a URL that begins with http:// or https:// and a host", "such as http://127.0.0.1:8080/healthz")
			return "", false
		}
		return s, true
	}
	return k
}
