package check

import (
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// refusals is P15: who asks for more than a limit allows is told so, and told
// nothing worse. That what was refused is not there, and what was acknowledged is,
// durability and linearizable see; here is counted whether there was any.
func refusals(in *Input, v *Verdict) {
	busy, added, refused, full := 0, 0, 0, 0
	var longest time.Duration
	for _, c := range in.calls() {
		switch {
		case c.outcome == history.OK && c.Kind == history.Add:
			added++
		case c.outcome == history.Fail && history.Limits[c.answer.Error]:
			longest = max(longest, c.returned.Sub(c.Time))
			if c.answer.Error == "busy" {
				busy++
			} else {
				full++
			}
			if c.Kind == history.Add {
				refused++
			}
		case c.answer.Error == "internal":
			v.bad("%s %s %s (%s) was answered by %s with a fault of its own", c.Kind, c.Key, c.Value, c.ID, c.Node)
		}
	}
	v.need(busy > 0, "nobody was told that a node is too busy")
	v.need(refused > 0, "no addition to the set was refused")
	v.need(added > 0, "no addition to the set was acknowledged")
	v.count("told busy", busy)
	v.count("told that all is full", full)
	v.count("additions acknowledged", added)
	v.count("additions refused", refused)
	v.count("longest until refused, ms", int(longest.Milliseconds()))
}
