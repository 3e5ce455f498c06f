package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// answer is an answer in JSON, with the index it is of.
type answer[T any] struct {
	Index uint64 `header:"X-Selfware-Index" doc:"Log index that the answer is of"`
	Body  T
}

// The parts of inputs that are embedded have exported names because huma looks
// into no others.

// Asked is the input of a read.
type Asked struct {
	Stale bool `query:"stale" doc:"Answer from this node's replica at once, possibly out of date. Otherwise the answer holds all that was acknowledged before the request."`
}

// named is the input of a read about one tree.
type named struct {
	Asked
	Name string `path:"name" maxLength:"64" doc:"Name of the tree"`
}

// Written is the input of a write.
type Written struct {
	Key string `header:"Idempotency-Key" doc:"Id of the request, at most 128 characters: it is done once, however often it is sent. The node makes one if it is absent."`
	By  string `header:"X-Selfware-By" default:"api" maxLength:"256" doc:"Who asks, for the record of decisions"`
}

// File is the text of a tree file.
type File struct {
	RawBody []byte `contentType:"application/yaml" required:"true" doc:"The tree file, in YAML or JSON"`
}

// add registers a route.
func add[I, O any](s *Server, k kind, route huma.Operation, handle func(context.Context, *I) (*O, error)) {
	route.MaxBodyBytes = k.maxBody() + 1 // readBody has said no before
	route.BodyReadTimeout = -1           // the body is in memory already
	s.kinds[route.Method+" "+route.Path] = k
	huma.Register(s.huma, route, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		var e *elsewhere
		switch {
		case errors.As(err, &e):
			return nil, e
		case err != nil:
			return nil, s.problem(err)
		}
		return out, nil
	})
}

func get(id, path, tag, summary string) huma.Operation {
	return op(http.MethodGet, id, path, tag, summary)
}

func op(method, id, path, tag, summary string) huma.Operation {
	return huma.Operation{Method: method, OperationID: id, Path: path, Tags: []string{tag}, Summary: summary}
}

func (s *Server) routes() {
	s.treeRoutes()
	s.verbRoutes()
	s.rolloutRoutes()
	s.poolRoutes()
	s.nodeRoutes()
	s.eventRoutes()
	s.logRoutes()
	s.saysRoutes()
	s.raftRoutes()
	s.selfRoutes()
}

func (s *Server) treeRoutes() {
	add(s, read, get("status", "/v1/status", "cluster", "The whole cluster at a glance"), s.getStatus)
	add(s, read, get("trees", "/v1/trees", "trees", "All trees with their workers"), s.getTrees)
	add(s, read, get("tree", "/v1/trees/{name}", "trees", "One tree with its supervisors and workers, in start order"), s.getTree)
	spec := get("spec", "/v1/trees/{name}/spec", "trees", "The file of a tree, in canonical YAML")
	spec.Responses = raw("application/yaml", "The tree file")
	add(s, read, spec, s.getSpec)
	add(s, write, op(http.MethodPut, "apply", "/v1/trees/{name}", "trees", "Make or change a tree"), s.apply)
	add(s, write, op(http.MethodDelete, "delete", "/v1/trees/{name}", "trees", "Stop a tree and forget it"), s.deleteTree)
	add(s, read, op(http.MethodPost, "plan", "/v1/plan", "trees", "What applying a tree file would change"), s.plan)
	s.epochRoute()
	add(s, read, get("explain", "/v1/explain", "trees", "How long each fault may keep children from running"), s.explain)
	add(s, read, get("why", "/v1/why", "trees", "The decisions behind the state of a worker, a supervisor or a tree"), s.why)
}

// epochRoute takes the rest of the URL for a path. To the document it is a parameter
// like any other: there a slash is written %2F, which the route understands as well.
func (s *Server) epochRoute() {
	const taken, told = "/v1/epoch/{path...}", "/v1/epoch/{path}"
	add(s, read, get("epoch", taken, "trees", "What tells the present life of a worker from those before it"), s.epoch)
	paths := s.huma.OpenAPI().Paths
	paths[told] = paths[taken]
	delete(paths, taken)
}

func (s *Server) verbRoutes() {
	for verb, summary := range map[string]string{
		"start":   "Start what does not run",
		"stop":    "Stop, and keep stopped",
		"restart": "Stop and start again",
		"move":    "Go on, on another node",
		"pause":   "Begin nothing at and below a path for now; what runs goes on",
		"resume":  "End a pause, and start what should run",
		"reset":   "Forget the restarts that were charged; nothing starts",
	} {
		add(s, write, op(http.MethodPost, verb, "/v1/"+verb, "children", summary),
			func(ctx context.Context, in *verbInput) (*answer[Done], error) { return s.verb(ctx, verb, in) })
	}
}

func (s *Server) poolRoutes() {
	add(s, write, op(http.MethodPost, "scale", "/v1/scale", "children", "Change the number of instances of a pool"), s.scale)
}

func (s *Server) nodeRoutes() {
	add(s, read, get("nodes", "/v1/nodes", "nodes", "All nodes"), s.getNodes)
	add(s, write, op(http.MethodPost, "drain", "/v1/nodes/{node}/drain", "nodes", "Move all children off a node and let none come"),
		func(ctx context.Context, in *nodeInput) (*answer[Done], error) { return s.drain(ctx, in, true) })
	add(s, write, op(http.MethodPost, "undrain", "/v1/nodes/{node}/undrain", "nodes", "Let a node take children again"),
		func(ctx context.Context, in *nodeInput) (*answer[Done], error) { return s.drain(ctx, in, false) })
	add(s, write, op(http.MethodPost, "leave", "/v1/nodes/{node}/leave", "nodes", "Take a node out of the cluster for good"), s.leave)
}

func (s *Server) raftRoutes() {
	add(s, read, get("peers", "/v1/raft/peers", "raft", "The servers of raft's configuration"), s.peers)
	add(s, once, op(http.MethodPost, "transfer", "/v1/raft/transfer", "raft", "Hand leadership to another voter"), s.transfer)
	save := get("save-snapshot", "/v1/raft/snapshot", "raft", "The whole state, sealed, to be restored later")
	save.Responses = raw("application/octet-stream", "The sealed snapshot")
	add(s, read, save, s.saveSnapshot)
	add(s, restore, op(http.MethodPut, "restore-snapshot", "/v1/raft/snapshot", "raft", "Put back a saved state, on all nodes"), s.restoreSnapshot)
}

func (s *Server) selfRoutes() {
	add(s, local, get("health", "/v1/health", "node", "Whether this node hears a leader: 200, or 503"), s.health)
	add(s, local, get("version", "/v1/version", "node", "What this node runs"), s.version)
	add(s, local, get("hash", "/v1/hash", "node", "Index and state hash of this node's replica"), s.hash)
}

// raw documents an answer that is not JSON.
func raw(contentType, what string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: what,
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
}
