package main

import (
	"bytes"
	"cmp"
	"slices"
)

// masked rewrites OTP's answer where we differ on purpose, and only there (docs/otp.md,
// "Order of stops when a supervisor gives up"): in the steps named, each run of stops
// goes from the last child to the first.
func masked(answer []byte, loose map[int]bool) []byte {
	out := slices.Clone(answer)
	for number, from := 0, 0; from < len(out); number++ {
		to := stepEnd(out, from)
		if loose[number] {
			sortStops(out[from:to])
		}
		from = to + 1
	}
	return out
}

// stepEnd is the place of the byte that closes the step which begins at from.
func stepEnd(answer []byte, from int) int {
	i := from
	for i < len(answer) && answer[i] != end && answer[i] != dead {
		if answer[i] != absent {
			i++
		}
		i++
	}
	return min(i, len(answer))
}

// sortStops sorts each run of stops, last child first.
func sortStops(events []byte) {
	for i := 0; i+1 < len(events); {
		run := i
		for run+1 < len(events) && events[run] == stopped {
			run += 2
		}
		var stops []byte
		for j := i; j < run; j += 2 {
			stops = append(stops, events[j+1])
		}
		slices.SortFunc(stops, func(a, b byte) int { return cmp.Compare(b, a) })
		for j, s := range stops {
			events[i+2*j+1] = s
		}
		i = run + 2 // past a start, or the failure of one
	}
}

// differs tells whether the core and OTP disagree on a trace.
func differs(t *trace, theirs []byte) bool {
	out, loose := ours(t)
	return !bytes.Equal(out, masked(theirs, loose))
}
