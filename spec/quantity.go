package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

const (
	maxDuration = 365 * 24 * time.Hour
	// maxWait of a back-off; supervisor.MaxRestarts of them do not overflow.
	maxWait   = 24 * time.Hour
	maxCPU    = 1_000_000 * 1000 // thousandths of a core
	maxMemory = 1 << 60
)

const durationHint = "write a number with a unit, such as 500ms, 10s, 1m30s or 2h"

// durationKind is a duration with a unit, within limits.
func durationKind(least, most time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		schema: map[string]any{"type": "string", "pattern": `^([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h))+$`},
		read: func(r *reader, n *node) (time.Duration, bool) {
			d, hint := parseDuration(n)
			if hint != "" {
				r.want(n, "a duration", hint)
				return 0, false
			}
			return d, r.within(n, d, least, most)
		},
		write: duration,
	}
}

// within notes a duration beyond its limits.
func (r *reader) within(n *node, d, least, most time.Duration) bool {
	if d < least {
		r.want(n, "at least "+duration(least), "")
	} else if d > most {
		r.want(n, "at most "+duration(most), "")
	}
	return d >= least && d <= most
}

// parseDuration returns a hint if n is no duration.
func parseDuration(n *node) (time.Duration, string) {
	if n.is != textValue && n.is != bareValue {
		return 0, durationHint
	}
	if n.is == bareValue || n.text == "0" { // a number; time.ParseDuration takes 0
		return 0, fmt.Sprintf("write %ss for seconds", short(n.text))
	}
	if d, err := time.ParseDuration(n.text); err == nil {
		return d, ""
	}
	return 0, durationHint
}

// duration prints 90s and 1h, where time.Duration prints 1m30s and 1h0m0s.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0 && d > time.Minute:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Second == 0:
		return seconds(d) + "s"
	}
	return d.String()
}

// seconds prints a duration as a number of seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// secondsKind is max_seconds: a number of seconds, or a duration with a unit.
func secondsKind() kind[time.Duration] {
	k := durationKind(time.Millisecond, maxDuration)
	withUnit := k.read
	k.schema = map[string]any{"anyOf": []any{map[string]any{"type": "number", "exclusiveMinimum": 0}, k.schema}}
	k.read = func(r *reader, n *node) (time.Duration, bool) {
		if n.is != bareValue {
			return withUnit(r, n)
		}
		const most = int64(maxDuration)
		number, negative := strings.CutPrefix(n.text, "-")
		v, ok := scaled(number, int64(time.Second), most)
		switch {
		case ok && !negative:
			return time.Duration(v), r.within(n, time.Duration(v), time.Millisecond, maxDuration)
		case ok:
			return 0, r.within(n, -time.Duration(v), time.Millisecond, maxDuration)
		}
		r.want(n, "a number of seconds or a duration of at most a year", durationHint)
		return 0, false
	}
	k.write = func(d time.Duration) string {
		if d%time.Second == 0 {
			return seconds(d)
		}
		return duration(d)
	}
	return k
}

// scaled reads a decimal number times scale, exactly: 0.5 × 1000 is 500 and
// 0.0001 × 1000 is no number.
func scaled(text string, scale, most int64) (int64, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = strings.TrimRight(fraction, "0")
	digits := whole + fraction
	if whole == "" || len(digits) > 18 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v != 0 && scale > math.MaxInt64/v {
		return 0, false
	}
	v *= scale
	for range fraction {
		if v%10 != 0 {
			return 0, false
		}
		v /= 10
	}
	return v, v <= most
}

// unit is a suffix of an amount and its factor.
type unit struct {
	suffix string
	scale  int64
}

// amountKind is a number with one of some units; the first whose suffix fits is
// used, so longer suffixes come first. Amounts are written in plain units.
func amountKind(what string, most int64, units []unit, pattern string, write func(int64) string) kind[int64] {
	return kind[int64]{
		schema: map[string]any{"type": []any{"number", "string"}, "minimum": 0, "pattern": pattern},
		read: func(r *reader, n *node) (int64, bool) {
			for _, u := range units {
				number, found := strings.CutSuffix(n.text, u.suffix)
				if !found || n.is != textValue && n.is != bareValue {
					continue
				}
				if v, ok := scaled(strings.TrimSpace(number), u.scale, most); ok {
					return v, true
				}
			}
			r.want(n, what, "")
			return 0, false
		},
		write: write,
	}
}

// cpuKind is cores, kept in thousandths.
func cpuKind() kind[int64] {
	return amountKind(`a number of cores such as 2, 0.5 or 500m, in steps of 0.001`, maxCPU,
		[]unit{{"m", 1}, {"", 1000}}, `^[0-9]+(\.[0-9]+)?m?$`,
		func(v int64) string {
			if v%1000 == 0 {
				return strconv.FormatInt(v/1000, 10)
			}
			return strconv.FormatInt(v, 10) + "m"
		})
}

var memoryUnits = []unit{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

// memoryKind is bytes.
func memoryKind() kind[int64] {
	return amountKind(`an amount of memory such as 64MiB, 1GiB, 512MB or a number of bytes`, maxMemory,
		memoryUnits, `^[0-9]+(\.[0-9]+)? ?([KMGT]i?B|kB|B)?$`,
		func(v int64) string {
			for _, u := range memoryUnits {
				if v > 0 && u.scale > 1 && v%u.scale == 0 {
					return strconv.FormatInt(v/u.scale, 10) + u.suffix
				}
			}
			return strconv.FormatInt(v, 10)
		})
}

// umaskKind reads octal digits, quoted or not: 022 and "022" are the same.
func umaskKind() kind[int] {
	return kind[int]{
		schema: map[string]any{"type": []any{"string", "integer"}, "pattern": "^0?[0-7]{1,3}$"},
		read: func(r *reader, n *node) (int, bool) {
			v, err := strconv.ParseInt(n.text, 8, 32)
			if n.is != textValue && n.is != bareValue || err != nil || v < 0 || v > 0o777 {
				r.want(n, "octal digits from 000 to 777", `such as "022"`)
				return 0, false
			}
			return int(v), true
		},
		write: func(v int) string { return fmt.Sprintf("%q", fmt.Sprintf("%03o", v)) },
	}
}

// unlimited is noLimit in the file; supervisor.Limit says what it is.
const (
	unlimited       = "unlimited"
	noLimit   int64 = -1
)

// boundKind is one number of a ulimit.
func boundKind() kind[int64] {
	return kind[int64]{
		schema: map[string]any{"anyOf": []any{map[string]any{"type": "integer", "minimum": 0}, map[string]any{"const": unlimited}}},
		read: func(r *reader, n *node) (int64, bool) {
			if n.is == textValue && n.text == unlimited {
				return noLimit, true
			}
			v, err := strconv.ParseInt(n.text, 10, 64)
			if n.is != bareValue || err != nil || v < 0 {
				r.want(n, `a whole number from 0 or "unlimited"`, "")
				return 0, false
			}
			return v, true
		},
		write: func(v int64) string {
			if v == noLimit {
				return unlimited
			}
			return strconv.FormatInt(v, 10)
		},
	}
}

// limitKind is one bound for both, or a map of soft and hard.
func limitKind() kind[supervisor.Limit] {
	bound, both := boundKind(), limitTable.kind()
	return kind[supervisor.Limit]{
		schema: map[string]any{"anyOf": []any{bound.schema, both.schema}},
		read: func(r *reader, n *node) (supervisor.Limit, bool) {
			if n.is != mapValue {
				v, ok := bound.read(r, n)
				return supervisor.Limit{Soft: v, Hard: v}, ok
			}
			v, ok := both.read(r, n)
			if ok && v.Hard != noLimit && (v.Soft == noLimit || v.Soft > v.Hard) {
				r.fail(n, "", "%s: the soft limit %s is greater than the hard limit %s", r.key, bound.write(v.Soft), bound.write(v.Hard))
				return v, false
			}
			return v, ok
		},
		write: func(v supervisor.Limit) string {
			if v.Soft == v.Hard {
				return bound.write(v.Soft)
			}
			return fmt.Sprintf("{soft: %s, hard: %s}", bound.write(v.Soft), bound.write(v.Hard))
		},
	}
}
