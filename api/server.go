package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Server is the API of one node. Make one with New; Run serves it.
type Server struct {
	cfg   Config
	log   *slog.Logger
	hosts map[string]bool

	mux   *http.ServeMux
	huma  huma.API
	kinds map[string]kind // of routes, by pattern
	inner http.Handler    // answers here, or says that this is not the place

	transport *http.Transport
	addrs     sync.Map // node id -> address last heard of
	// Requests of clients and of nodes have limits apart: a node full of
	// requests that wait for a leader must be able to serve as one.
	fromClients, fromNodes gates
	bodies                 atomic.Int64 // bytes of bodies held
	hashing                chan struct{}

	ending context.Context // streams end with it
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// New makes a server. It serves nothing yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.HoldFor = cmp.Or(cfg.HoldFor, 10*time.Second)
	cfg.MaxStreams = cmp.Or(cfg.MaxStreams, 256)
	s := &Server{
		cfg: cfg, log: cfg.Logger, hosts: make(map[string]bool), mux: http.NewServeMux(), kinds: make(map[string]kind),
		fromClients: newGates(cfg.MaxStreams), fromNodes: newGates(cfg.MaxStreams), hashing: make(chan struct{}, 1),
	}
	for _, name := range append([]string{"localhost", cfg.Self.Name}, cfg.Hosts...) {
		s.hosts[strings.ToLower(name)] = true
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.transport = &http.Transport{
		DialContext: s.dial, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader,
	}
	s.openHuma()
	s.routes()
	s.inner = http.HandlerFunc(s.serveHere)
	return s, nil
}

// openHuma prepares the routes and their OpenAPI document. There is no page of
// documentation: all that huma has load scripts from other sites.
func (s *Server) openHuma() {
	c := huma.DefaultConfig("selfware", cmp.Or(s.cfg.Version, "dev"))
	c.Info.Description = "Supervision trees over a cluster. Every node answers for the whole cluster."
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.RejectUnknownQueryParameters = true
	s.huma = newHuma(s.mux, c)
}

// Handler serves clients, as Run does on its listeners.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveClient) }

// Run serves clients on the listeners and other nodes on the cluster port,
// until ctx ends or a listener fails. It closes the listeners. Streams end at
// once; other requests have some seconds to end.
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	clients, nodes := s.server(s.serveClient), s.server(s.serveNode)
	failed := make(chan error, len(listeners)+1)
	serve := func(srv *http.Server, lis net.Listener) {
		s.wg.Go(func() { failed <- srv.Serve(lis) })
	}
	for _, lis := range listeners {
		serve(clients, lis)
	}
	if lis := s.cfg.Cluster.HTTP(); lis != nil {
		serve(nodes, lis)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("cannot serve the API: %w", err)
	}
	s.end()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	for _, srv := range []*http.Server{clients, nodes} {
		if e := srv.Shutdown(late); e != nil {
			_ = srv.Close() // what has not ended by now is cut off
		}
	}
	s.transport.CloseIdleConnections()
	s.wg.Wait()
	return err
}

func (s *Server) server(h http.HandlerFunc) *http.Server {
	var conns atomic.Int64
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				if conns.Add(1) > maxConns {
					c.Close()
				}
			case http.StateClosed, http.StateHijacked:
				conns.Add(-1)
			}
		},
	}
}

// gates bound how many requests there are at once.
type gates struct{ requests, streams chan struct{} }

func newGates(streams int) gates {
	return gates{make(chan struct{}, maxRequests), make(chan struct{}, streams)}
}

var errFull = errors.New("full")

// enter takes a place for a request, to be given back with leave.
func (g gates) enter(k kind) (leave func(), err error) {
	gate := g.requests
	if k.long() {
		gate = g.streams
	}
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	default:
		return nil, errFull
	}
}
