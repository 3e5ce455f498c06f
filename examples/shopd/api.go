package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client bounds every request between the parts.
var client = &http.Client{Timeout: time.Second}

// ask sends a request to another part and gives its stats.
func ask(method, url string) (stats, error) {
	var s stats
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("cannot %s %s: %s", method, url, resp.Status)
	}
	return s, json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&s)
}

// api passes requests on to the store.
func api(storeURL string) http.Handler {
	pass := func(method, path string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			s, err := ask(method, storeURL+path)
			if err != nil {
				http.Error(w, "the store is away: "+err.Error(), http.StatusBadGateway)
				return
			}
			reply(w, s)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", pass("GET", "/stats"))
	mux.HandleFunc("GET /healthz", pass("GET", "/stats"))
	mux.HandleFunc("POST /jobs/take", pass("POST", "/take"))
	mux.HandleFunc("POST /jobs/done", pass("POST", "/done"))
	return mux
}

func runAPI(flags *flag.FlagSet, args []string, out io.Writer) error {
	addr := flags.String("listen", apiAddr, "address to listen on")
	storeAt := flags.String("store", storeAddr, "address of the store")
	if err := parse(flags, args); err != nil {
		return err
	}
	l, err := listen(*addr)
	if err != nil {
		return err
	}
	hello(out, "api", "http://"+l.Addr().String()+" over the store at "+*storeAt)
	ended := make(chan error, 1)
	go func() { ended <- http.Serve(l, api("http://"+*storeAt)) }()
	return watch("http://"+*storeAt+"/stats", patience, ended)
}

// watch returns once nothing has answered at url for so long, or the server has
// ended; the process ends with it.
func watch(url string, patience time.Duration, ended <-chan error) error {
	tick := time.NewTicker(patience / 20)
	defer tick.Stop()
	for seen := time.Now(); ; {
		_, err := ask("GET", url)
		if err == nil {
			seen = time.Now()
		} else if time.Since(seen) > patience {
			return fmt.Errorf("cannot go on without the store: %w", err)
		}
		select {
		case err := <-ended:
			return err
		case <-tick.C:
		}
	}
}
