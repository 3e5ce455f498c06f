package health

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Shares of a resource in use above which Memory and Disk complain, unless told otherwise.
const (
	DefaultDegraded  = 0.80
	DefaultUnhealthy = 0.95
)

// Memory looks at how much of the machine's memory is in use: all that could not be
// given to a new program without swapping (MemAvailable of /proc/meminfo). Above the
// share Degraded it is Degraded, above Unhealthy it is Unhealthy and Critical.
type Memory struct {
	Degraded, Unhealthy float64 // 0 to 1; 0 = the defaults
}

// Name is "memory".
func (c Memory) Name() string { return "memory" }

// Check reads /proc/meminfo.
func (c Memory) Check(context.Context) HealthStatus {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return statusOf(err)
	}
	defer f.Close()
	used, total, err := parseMeminfo(f)
	if err != nil {
		return statusOf(err)
	}
	return rate("memory", used, total, c.Degraded, c.Unhealthy)
}

// parseMeminfo gives bytes.
func parseMeminfo(r io.Reader) (used, total uint64, err error) {
	var available uint64
	found := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var kib uint64
		key, rest, _ := strings.Cut(lines.Text(), ":")
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
			continue
		}
		switch key {
		case "MemTotal":
			total, found = kib<<10, found+1
		case "MemAvailable":
			available, found = kib<<10, found+1
		}
	}
	if found != 2 || available > total {
		return 0, 0, fmt.Errorf("cannot find MemTotal and MemAvailable in /proc/meminfo")
	}
	return total - available, total, nil
}

// Disk looks at how full the file system of Path is, as df does: what is kept for root
// counts as used. Above the share Degraded it is Degraded, above Unhealthy it is
// Unhealthy and Critical.
type Disk struct {
	Path                string
	Degraded, Unhealthy float64 // 0 to 1; 0 = the defaults
}

// Name is "disk" and the path.
func (c Disk) Name() string { return "disk " + c.Path }

// Check asks the file system.
func (c Disk) Check(context.Context) HealthStatus {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(c.Path, &fs); err != nil {
		return statusOf(fmt.Errorf("cannot look at the disk of %s: %w", c.Path, err))
	}
	used := fs.Blocks - fs.Bfree
	return rate(c.Name(), used*uint64(fs.Bsize), (used+fs.Bavail)*uint64(fs.Bsize), c.Degraded, c.Unhealthy)
}

// rate judges a share of something.
func rate(what string, used, total uint64, degraded, unhealthy float64) HealthStatus {
	if total == 0 {
		return Healthy() // a file system without blocks, such as /proc, is never full
	}
	share := float64(used) / float64(total)
	words := fmt.Sprintf("%s: %.1f%% of %d MiB is in use", what, 100*share, total>>20)
	switch {
	case share > cmp.Or(unhealthy, DefaultUnhealthy):
		return Unhealthy(words, Critical)
	case share > cmp.Or(degraded, DefaultDegraded):
		return Degraded(words)
	}
	return Healthy()
}
