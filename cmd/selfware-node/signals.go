package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
)

// signals ends the program's context at the first SIGINT, SIGTERM or SIGHUP and
// the program itself at the second, unless a command has asked to be told of it.
type signals struct {
	ch    chan os.Signal
	done  chan struct{}
	again chan struct{}
	taken atomic.Bool
	wg    sync.WaitGroup
}

func catchSignals(parent context.Context) (*signals, context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	s := &signals{ch: make(chan os.Signal, 2), done: make(chan struct{}), again: make(chan struct{})}
	signal.Notify(s.ch, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means what it says
		signal.Notify(s.ch, syscall.SIGHUP)
	}
	s.wg.Go(func() {
		select {
		case sig := <-s.ch:
			cancel(fmt.Errorf("ended by signal (%v)", sig))
		case <-s.done:
			cancel(nil)
			return
		}
		select {
		case <-s.ch:
			if !s.taken.Load() {
				os.Exit(exitFailed)
			}
			close(s.again)
		case <-s.done:
		}
	})
	return s, ctx
}

// second gives a channel that is closed at the second signal; the program then
// does not end by itself.
func (s *signals) second() <-chan struct{} {
	s.taken.Store(true)
	return s.again
}

func (s *signals) stop() {
	signal.Stop(s.ch)
	close(s.done)
	s.wg.Wait()
}
