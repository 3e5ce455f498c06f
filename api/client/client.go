package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/supervisor"
)

// Client speaks to one node, which forwards where it must. Its methods may be
// called from any goroutine. An error that the node answered is an *api.Problem.
type Client struct {
	cfg   Config
	base  string // http://host:port
	http  *http.Client
	stale bool
	tag   string
}

// Stale gives a client whose reads are answered by the node's own replica, at
// once and possibly out of date.
func (c *Client) Stale() *Client {
	copy := *c
	copy.stale = true
	return &copy
}

// As gives a client that says, for the record, that by asks.
func (c *Client) As(by string) *Client {
	copy := *c
	copy.cfg.By = by
	return &copy
}

// If gives a client whose Apply and Delete do nothing, and fail with code conflict,
// unless the tree's tag is this: that of a Plan, "none" if there must be no such tree.
func (c *Client) If(tag string) *Client {
	copy := *c
	copy.tag = tag
	return &copy
}

// Status is the whole cluster at a glance.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return read[api.Status](ctx, c, "/v1/status", nil)
}

// Nodes lists the nodes by name.
func (c *Client) Nodes(ctx context.Context) ([]api.NodeStatus, error) {
	return read[[]api.NodeStatus](ctx, c, "/v1/nodes", nil)
}

// Says is what a worker says of itself, and how its node finds it; or, with an empty path,
// what all children on a node say that say something or are watched.
func (c *Client) Says(ctx context.Context, path, node string) ([]api.Says, error) {
	q := url.Values{}
	for name, value := range map[string]string{"path": path, "node": node} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return read[[]api.Says](ctx, c, "/v1/says", q)
}

// Trees lists the trees by name, each with its workers.
func (c *Client) Trees(ctx context.Context) ([]api.TreeStatus, error) {
	return read[[]api.TreeStatus](ctx, c, "/v1/trees", nil)
}

// Tree is one tree with its supervisors and workers, each after its parent.
func (c *Client) Tree(ctx context.Context, name string) (api.TreeStatus, error) {
	return read[api.TreeStatus](ctx, c, "/v1/trees/"+url.PathEscape(name), nil)
}

// Spec is the file of a tree, in canonical YAML.
func (c *Client) Spec(ctx context.Context, name string) (string, error) {
	res, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/trees/" + url.PathEscape(name) + "/spec", read: true})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return string(text), c.broken(err)
}

// Apply makes or changes the tree that the file text describes; name is its
// name. by says who asks, Config.By if empty.
func (c *Client) Apply(ctx context.Context, name, text, by string) (api.Done, error) {
	return call[api.Done](ctx, c, request{
		method: http.MethodPut, path: "/v1/trees/" + url.PathEscape(name),
		body: []byte(text), contentType: "application/yaml", by: by, expects: true,
	})
}

// Plan says what applying the file text would change. It changes nothing.
func (c *Client) Plan(ctx context.Context, text string) (api.Plan, error) {
	return call[api.Plan](ctx, c, request{
		method: http.MethodPost, path: "/v1/plan", body: []byte(text), contentType: "application/yaml", read: true,
	})
}

// Delete stops a tree and forgets it.
func (c *Client) Delete(ctx context.Context, name string) (api.Done, error) {
	return call[api.Done](ctx, c, request{method: http.MethodDelete, path: "/v1/trees/" + url.PathEscape(name), expects: true})
}

// Verb does start, stop, restart or move to a worker, a supervisor or a tree.
// to is the node of a move, by name or id; it may be empty.
func (c *Client) Verb(ctx context.Context, verb, path, to string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/"+url.PathEscape(verb), api.Ask{Path: path, To: to})
}

// Rollout pauses, resumes or takes back the update of a tree.
func (c *Client) Rollout(ctx context.Context, verb supervisor.RolloutVerb, tree string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/rollout/"+url.PathEscape(string(verb)), api.Ask{Path: tree})
}

// Pause has nothing begin at and below a path until Resume: what runs goes on, and what
// ends waits. why is for the record.
func (c *Client) Pause(ctx context.Context, path, why string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/pause", api.Ask{Path: path, Why: why})
}

// Resume ends a Pause of the same path, and starts what should run. why is for the record.
func (c *Client) Resume(ctx context.Context, path, why string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/resume", api.Ask{Path: path, Why: why})
}

// Reset has the restarts forgotten that were charged to a worker, or to a supervisor or
// a tree and all below it. It starts nothing. why is for the record.
func (c *Client) Reset(ctx context.Context, path, why string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/reset", api.Ask{Path: path, Why: why})
}

// Scale gives a pool another number of instances.
func (c *Client) Scale(ctx context.Context, path string, size int) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/scale", api.Scale{Path: path, Size: size})
}

// Why is the chain of decisions behind the state of a worker, a supervisor or a
// tree.
func (c *Client) Why(ctx context.Context, path string) (api.Why, error) {
	return read[api.Why](ctx, c, "/v1/why", url.Values{"path": {path}})
}

// Epoch is what tells the present life of a worker from those before it.
func (c *Client) Epoch(ctx context.Context, path string) (api.Epoch, error) {
	return read[api.Epoch](ctx, c, "/v1/epoch/"+url.PathEscape(path), nil)
}

// Explain says how long each fault may keep the children at and below a path from
// running; of all trees if it is empty.
func (c *Client) Explain(ctx context.Context, path string) (api.Explanation, error) {
	q := url.Values{}
	if path != "" {
		q.Set("path", path)
	}
	return read[api.Explanation](ctx, c, "/v1/explain", q)
}

// Events lists at most limit events (0: 100) after the position since: "INDEX",
// "INDEX.N", or "0" for the beginning. An empty since lists the latest ones. The
// error has the code gone if the history does not reach back so far.
func (c *Client) Events(ctx context.Context, since string, limit int) ([]api.Event, error) {
	q := url.Values{}
	if since != "" {
		q.Set("since", since)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return read[[]api.Event](ctx, c, "/v1/events", q)
}

// Drain moves every child off a node, and lets none come.
func (c *Client) Drain(ctx context.Context, node string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/nodes/"+url.PathEscape(node)+"/drain", nil)
}

// Undrain lets a node take children again.
func (c *Client) Undrain(ctx context.Context, node string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/nodes/"+url.PathEscape(node)+"/undrain", nil)
}

// Leave takes a node out of the cluster for good.
func (c *Client) Leave(ctx context.Context, node string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/nodes/"+url.PathEscape(node)+"/leave", nil)
}

// Peers lists the servers of raft's configuration.
func (c *Client) Peers(ctx context.Context) ([]api.Peer, error) {
	return read[[]api.Peer](ctx, c, "/v1/raft/peers", nil)
}

// Transfer hands leadership to a voter, by name or id, or to the most advanced
// one if to is empty.
func (c *Client) Transfer(ctx context.Context, to string) (api.Done, error) {
	return post[api.Done](ctx, c, "/v1/raft/transfer", api.Transfer{To: to})
}

// SaveSnapshot writes the whole state to w, for RestoreSnapshot. Nothing is
// written of a snapshot that arrived damaged.
func (c *Client) SaveSnapshot(ctx context.Context, w io.Writer) error {
	res, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/raft/snapshot", slow: true})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	sealed, err := io.ReadAll(io.LimitReader(res.Body, api.MaxSnapshot+1))
	if err != nil {
		return c.broken(err)
	}
	if _, err := api.OpenSnapshot(sealed); err != nil {
		return err
	}
	_, err = io.Copy(w, bytes.NewReader(sealed))
	return err
}

// RestoreSnapshot puts back what SaveSnapshot wrote, on all nodes. What happened
// since is forgotten.
func (c *Client) RestoreSnapshot(ctx context.Context, r io.Reader) (api.Done, error) {
	sealed, err := io.ReadAll(io.LimitReader(r, api.MaxSnapshot+1))
	if err != nil {
		return api.Done{}, err
	}
	if _, err := api.OpenSnapshot(sealed); err != nil {
		return api.Done{}, err
	}
	return call[api.Done](ctx, c, request{
		method: http.MethodPut, path: "/v1/raft/snapshot", body: sealed, contentType: "application/octet-stream", slow: true,
	})
}

// Health is what the node itself says; it asks no other. Without a leader it
// says so in Status, with no error.
func (c *Client) Health(ctx context.Context) (api.Health, error) {
	return call[api.Health](ctx, c, request{method: http.MethodGet, path: "/v1/health"})
}

// Version is what the node runs.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	return call[api.Version](ctx, c, request{method: http.MethodGet, path: "/v1/version"})
}

// Hash is the index and the state hash of the node's own replica.
func (c *Client) Hash(ctx context.Context) (api.Hash, error) {
	return call[api.Hash](ctx, c, request{method: http.MethodGet, path: "/v1/hash"})
}

// LogOptions says which lines of a child's output to read.
type LogOptions struct {
	Follow bool   // go on with what is written from now on
	Tail   int    // lines of each stream to begin with; 0 = 100, negative = none
	Stream string // "stdout", "stderr" or "both"; "" = both
	// Node reads the log that an earlier life left on that node, by name or id;
	// "" is where the child runs, or last ran.
	Node string
}

func (o LogOptions) query(path string) url.Values {
	q := url.Values{"path": {path}, "tail": {strconv.Itoa(max(o.Tail, 0))}}
	if o.Tail == 0 {
		q.Del("tail")
	}
	for key, value := range map[string]string{"stream": o.Stream, "node": o.Node} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if o.Follow {
		q.Set("follow", "true")
	}
	return q
}

func read[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	return call[T](ctx, c, request{method: http.MethodGet, path: path, query: q, read: true})
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	r := request{method: http.MethodPost, path: path}
	if body != nil {
		r.json(body)
	}
	return call[T](ctx, c, r)
}

func hostOf(addr string) string {
	if strings.Contains(addr, "://") {
		return strings.TrimRight(addr, "/")
	}
	return "http://" + addr
}
