package dev

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/selfware/selfware/keeper/leftover"
)

// stop ends every node, kills what will not end or was left, and removes what
// was temporary.
func (d *dev) stop() error {
	stopping := d.signal(syscall.SIGTERM)
	if stopping > 0 {
		d.printf("\nstopping %d nodes and their children\n", stopping)
	}
	patience := time.NewTimer(stopTime)
	defer patience.Stop()
	atOnce := d.cfg.AtOnce
	for d.running() > 0 {
		select {
		case x := <-d.exits:
			x.m.pid, x.m.dirty = 0, x.err != nil
		case <-d.events: // its sender must end
		case <-patience.C:
			d.printf("%d nodes did not stop within %v: killing them\n", d.signal(syscall.SIGKILL), stopTime)
		case <-atOnce:
			atOnce = nil
			d.signal(syscall.SIGKILL)
		}
	}
	d.wg.Wait()
	err := d.clean()
	for _, m := range d.members {
		m.client.Close()
	}
	if d.temp {
		return errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

func (d *dev) signal(sig syscall.Signal) (n int) {
	for _, m := range d.members {
		if m.pid != 0 {
			_ = m.process.Signal(sig) // an error says that it has ended
			n++
		}
	}
	return n
}

// clean kills what nodes that were killed have left behind, as their next start
// would.
func (d *dev) clean() error {
	var errs []error
	for _, m := range d.members {
		if !m.dirty {
			continue
		}
		if err := leftover.Sweep(filepath.Join(m.dir, "run"), slog.New(slog.DiscardHandler)); err != nil {
			errs = append(errs, fmt.Errorf("cannot look for what %s left behind: %w", m.name, err))
		}
	}
	return errors.Join(errs...)
}
