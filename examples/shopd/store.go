package main

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"sync"
)

// stats is all that the store knows.
type stats struct {
	Taken int `json:"taken"` // jobs given out by this life of the store
	Done  int `json:"done"`
}

// store gives out numbered jobs. It keeps them in memory only, so that one sees
// that a restart of the store is a new life.
type store struct {
	mu sync.Mutex
	stats
}

func (s *store) change(w http.ResponseWriter, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	reply(w, s.stats)
}

func (s *store) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { s.change(w, func() {}) })
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, _ *http.Request) { s.change(w, func() { s.Taken++ }) })
	mux.HandleFunc("POST /done", func(w http.ResponseWriter, _ *http.Request) { s.change(w, func() { s.Done++ }) })
	return mux
}

// reply cannot tell the client of an error any more, once it has begun to write.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func runStore(flags *flag.FlagSet, args []string, out io.Writer) error {
	addr := flags.String("listen", storeAddr, "address to listen on")
	if err := parse(flags, args); err != nil {
		return err
	}
	l, err := listen(*addr)
	if err != nil {
		return err
	}
	hello(out, "store", "listening on "+l.Addr().String())
	return http.Serve(l, new(store).handler())
}
