package bench

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// wall drops all packets to and from some addresses, by iptables.
type wall struct {
	mu     sync.Mutex
	closed map[string]bool
}

// shut begins to drop; open ends it.
func (w *wall) shut(ip string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(map[string]bool)
	}
	w.closed[ip] = true // before, so that half a wall is taken down too
	return errors.Join(iptables("-I", "-s", ip), iptables("-I", "-d", ip))
}

func (w *wall) open(ip string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.closed, ip)
	return errors.Join(iptables("-D", "-s", ip), iptables("-D", "-d", ip))
}

// openAll takes down what still stands.
func (w *wall) openAll() error {
	var errs []error
	for _, ip := range slices.Sorted(maps.Keys(w.closed)) {
		errs = append(errs, w.open(ip))
	}
	return errors.Join(errs...)
}

func iptables(verb, side, ip string) error {
	out, err := exec.Command("iptables", "-w", verb, "INPUT", side, ip, "-j", "DROP").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot drop packets of %s with iptables: %w: %s", ip, err, strings.TrimSpace(string(out)))
	}
	return nil
}
