package main

import (
	"errors"
	"flag"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestShop sends one job from worker through the api to the store.
func TestShop(t *testing.T) {
	s := new(store)
	below := httptest.NewServer(s.handler())
	defer below.Close()
	web := httptest.NewServer(api(below.URL))
	defer web.Close()
	got, err := job(web.URL)
	if want := (stats{Taken: 1, Done: 1}); err != nil || got != want {
		t.Fatalf("one job: %+v, %v; want %+v", got, err, want)
	}
	if got, err := ask("GET", web.URL+"/"); err != nil || got != (stats{1, 1}) {
		t.Fatalf("stats: %+v, %v", got, err)
	}
}

// TestStoreAway: the api answers 502 and gives up in the end.
func TestStoreAway(t *testing.T) {
	below := httptest.NewServer(new(store).handler())
	web := httptest.NewServer(api(below.URL))
	defer web.Close()
	below.Close()
	if _, err := job(web.URL); err == nil || !strings.Contains(err.Error(), "502") {
		t.Fatalf("job without a store: %v; want a 502", err)
	}
	begin := time.Now()
	err := watch(below.URL+"/stats", 100*time.Millisecond, nil)
	if err == nil || time.Since(begin) < 100*time.Millisecond {
		t.Fatalf("watch gave up after %v with %v", time.Since(begin), err)
	}
}

// TestListenWaits: the port of a dying life is taken over once it is free.
func TestListenWaits(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { old.Close() })
	l, err := listen(old.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"shelf"}, {"store", "extra"}, {"api", "--lisen", ":1"}, {"tick", "--every", "0s"}} {
		if err := run(args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("shopd %q: %v; want a usage error", args, err)
		}
	}
	if err := run([]string{"store", "-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("help: %v", err)
	}
}
