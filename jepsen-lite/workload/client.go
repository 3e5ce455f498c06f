package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/spec"
)

// patience is how long a client waits for an answer. It is shorter than a node
// holds a request, so that clients go on while nobody leads.
const patience = 4 * time.Second

// elements are the trees of the set: this and a value.
const elements = "set-"

// asker asks nodes and writes down what it was answered.
type asker struct {
	lab     lab.Lab
	ops     *history.Stream[history.Op]
	last    atomic.Int64 // number of the last operation
	process atomic.Int64
}

// do does one operation and gives its outcome.
func (a *asker) do(ctx context.Context, n lab.Node, process int, op history.Op) history.Op {
	op.Process, op.Node, op.Type = process, n.Name(), history.Invoke
	op.ID = fmt.Sprintf("jl-%d", a.last.Add(1))
	if op.Kind == history.Write || op.Kind == history.Swap || op.Kind == history.Add {
		op.Value = strings.TrimPrefix(op.ID, "jl-")
	}
	op.Time = history.Now()
	a.ops.Put(op)
	answer, err := a.ask(ctx, n, op)
	answer.Time = history.Now()
	answer.Type, answer.Error = outcome(op.Kind, err)
	a.ops.Put(answer)
	return answer
}

func (a *asker) ask(ctx context.Context, n lab.Node, op history.Op) (history.Op, error) {
	c, err := client.New(client.Config{API: n.URL(), HTTP: n.HTTP(), Timeout: patience, By: op.ID})
	if err != nil {
		return op, err
	}
	var done api.Done
	switch op.Kind {
	case history.Write:
		done, err = c.Apply(ctx, op.Key, waiting(op.Key, op.Value), op.ID)
	case history.Swap:
		var tag string
		if tag, err = tagOf(op.Key, op.Expect); err == nil {
			done, err = c.If(tag).Apply(ctx, op.Key, waiting(op.Key, op.Value), op.ID)
		}
	case history.Add:
		done, err = c.Apply(ctx, elements+op.Value, waiting(elements+op.Value, "1"), op.ID)
	case history.Delete:
		done, err = c.Delete(ctx, op.Key)
	case history.Start, history.Stop:
		done, err = c.Verb(ctx, string(op.Kind), op.Key, "")
	case history.Read:
		var text string
		text, err = c.Spec(ctx, op.Key)
		if op.Value, err = valueOf(text, err); err != nil {
			return op, err
		}
	case history.List:
		op.Values, err = list(ctx, c)
	case history.Look:
		var s api.Status
		s, err = c.Status(ctx)
		done.Index = s.Cluster.Index
	}
	op.Index = done.Index
	return op, err
}

// waiting is the file of a tree that costs nothing: its child needs a node that
// there is not. Its value is a time that never comes.
func waiting(name, value string) string {
	return fmt.Sprintf("name: %s\non_exhausted: {retry_after: %ss}\nchildren: [{id: x, run: [\"true\"], needs: {never: \"yes\"}}]\n", name, value)
}

// tagOf is the tag of a register that has a value.
func tagOf(key, value string) (string, error) {
	if value == "" {
		return api.TagNone, nil
	}
	tree, err := spec.Parse(key, []byte(waiting(key, value)))
	return fsm.Tag(tree), err
}

var retryAfter = regexp.MustCompile(`retry_after:\s*"?([0-9a-zµ.]+)`)

// valueOf reads the value back; "" if there is no such tree.
func valueOf(text string, err error) (string, error) {
	var p *api.Problem
	if errors.As(err, &p) && p.Code == api.CodeNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	m := retryAfter.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("cannot find the value in %q", text)
	}
	d, err := time.ParseDuration(m[1])
	return fmt.Sprintf("%d", int(d.Seconds())), err
}

func list(ctx context.Context, c *client.Client) ([]string, error) {
	trees, err := c.Trees(ctx)
	values := []string{}
	for _, t := range trees {
		if value, ok := strings.CutPrefix(t.Name, elements); ok {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return values, err
}

// outcome says what an error means for an operation.
func outcome(kind history.Kind, err error) (history.OpType, string) {
	if err == nil {
		return history.OK, ""
	}
	var p *api.Problem
	if errors.As(err, &p) {
		switch p.Code {
		case api.CodeUncertain, api.CodeUnreachable, api.CodeInternal:
			return history.Info, p.Code
		}
		if p.Status == http.StatusPreconditionFailed {
			return history.Fail, history.Conflict
		}
		return history.Fail, p.Code
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return history.Fail, "no connection"
	}
	if kind == history.Read || kind == history.List || kind == history.Look {
		return history.Fail, err.Error()
	}
	return history.Info, err.Error()
}
