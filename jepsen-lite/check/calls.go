package check

import "github.com/selfware/selfware/jepsen-lite/history"

// call is one operation, from its invocation to its outcome.
type call struct {
	history.Op // the invocation
	outcome    history.OpType
	returned   history.Time
	answer     history.Op // the outcome, if there is one
}

// calls pairs invocations with outcomes. An operation that never ended may have
// been done.
func (in *Input) calls() []call {
	var all []call
	open := make(map[string]int)
	for _, op := range in.Ops {
		if op.Type == history.Invoke {
			open[op.ID] = len(all)
			all = append(all, call{Op: op, outcome: history.Info, returned: history.Never})
			continue
		}
		i, ok := open[op.ID]
		if !ok {
			continue
		}
		delete(open, op.ID)
		all[i].outcome, all[i].answer = op.Type, op
		if op.Type != history.Info {
			all[i].returned = op.Time
		}
	}
	return all
}

// changes tells whether an operation changes anything.
func changes(k history.Kind) bool {
	switch k {
	case history.Write, history.Delete, history.Swap, history.Add, history.Start, history.Stop:
		return true
	}
	return false
}

// written are the users' commands in the log that were carried out, by who asked:
// the operation.
func (in *Input) written() map[string][]history.Command {
	byOp := make(map[string][]history.Command)
	for _, c := range in.Log.Commands {
		if c.Error == "" {
			byOp[c.By] = append(byOp[c.By], c)
		}
	}
	return byOp
}
