package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// patience bounds the search for a linearization.
const patience = 60 * time.Second

// in and out of a register's operation.
type (
	asked struct {
		kind          history.Kind
		value, expect string
	}
	answered struct {
		outcome history.OpType
		value   string
	}
)

// register is one copy of a register: "" while there is none.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		switch in, out := input.(asked), output.(answered); in.kind {
		case history.Write:
			return true, in.value
		case history.Delete:
			return out.outcome != history.OK || state != "", ""
		case history.Swap:
			if state == in.expect {
				return out.outcome != history.Fail, in.value
			}
			return out.outcome != history.OK, state
		default:
			return out.value == state, state
		}
	},
	DescribeOperation: func(input, output any) string {
		switch in, out := input.(asked), output.(answered); {
		case in.kind == history.Read:
			return "read: " + short(out.value)
		case in.kind == history.Swap:
			return fmt.Sprintf("swap %s for %s: %s", short(in.expect), in.value, out.outcome)
		case out.outcome == history.Info:
			return string(in.kind) + " " + in.value + " (not known)"
		default:
			return string(in.kind) + " " + in.value
		}
	},
	DescribeState: func(state any) string { return short(state.(string)) },
}

func short(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// Registers are the operations of each register, ready for the search, and how
// many of unknown outcome there are: those that the log does not have are left
// out, if it is whole.
func (in *Input) Registers() (byKey map[string][]porcupine.Operation, open, dropped int) {
	byKey = make(map[string][]porcupine.Operation)
	written := in.written()
	for _, c := range in.calls() {
		switch c.Kind {
		case history.Write, history.Delete, history.Read, history.Swap:
		default:
			continue
		}
		refused := c.Kind == history.Swap && c.outcome == history.Fail && c.answer.Error == history.Conflict
		if c.outcome == history.Fail && !refused || c.outcome == history.Info && c.Kind == history.Read {
			continue
		}
		if c.outcome == history.Info {
			if in.Log.Complete && len(written[c.ID]) == 0 {
				dropped++
				continue
			}
			open++
		}
		byKey[c.Key] = append(byKey[c.Key], porcupine.Operation{
			ClientId: c.Process, Input: asked{c.Kind, c.Value, c.Expect}, Call: int64(c.Time),
			Output: answered{c.outcome, c.answer.Value}, Return: int64(c.returned), Metadata: c.Node,
		})
	}
	return byKey, open, dropped
}

// Model is what Registers are searched by.
func Model() porcupine.Model { return register }

// linearizable is P6.
func linearizable(in *Input, v *Verdict) {
	byKey, open, dropped := in.Registers()
	kinds, swapped := make(map[history.Kind]int), 0
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		for _, op := range byKey[key] {
			kinds[op.Input.(asked).kind]++
			if op.Input.(asked).kind == history.Swap && op.Output.(answered).outcome == history.OK {
				swapped++
			}
		}
		switch porcupine.CheckOperationsTimeout(register, byKey[key], patience/time.Duration(len(byKey))) {
		case porcupine.Illegal:
			v.bad("no order of the %d operations on register %s explains their answers", len(byKey[key]), key)
		case porcupine.Unknown:
			v.bad("cannot decide on the %d operations on register %s within the time", len(byKey[key]), key)
		}
	}
	reads, writes, swaps := kinds[history.Read], kinds[history.Write]+kinds[history.Delete], kinds[history.Swap]
	v.need(reads >= 5 && writes >= 5, "%d reads and %d writes", reads, writes)
	v.need(swaps == 0 || swapped > 0 && swapped < swaps, "%d of %d swaps done", swapped, swaps)
	v.count("registers", len(byKey))
	v.count("reads", reads)
	v.count("writes", writes)
	v.count("swaps", swaps)
	v.count("swaps done", swapped)
	v.count("unknown outcomes", open)
	v.count("left out, not in the log", dropped)
}
