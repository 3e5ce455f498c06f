package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/gossip"
)

// Machine is what was measured on. It names no host and no path.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Date   string `json:"date"`
	// Load is the load average of the last minute, after the run.
	Load string `json:"load"`
}

func thisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), Date: time.Now().UTC().Format(time.DateOnly)}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

func (m Machine) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, %s, %s; load of the last minute %s. All processes share this machine.\n",
		m.CPU, m.Cores, m.Kernel, m.Go, m.Date, m.Load)
	for _, p := range profiles {
		t := cluster.TimesOf(p)
		fmt.Fprintf(&b, "Profile %s: raft heartbeat and election %v, lease %v; grace of a dead process %v; gossip probe %v.\n",
			p, t.Election, t.Lease, t.Grace, gossip.Timing(p).ProbeInterval)
	}
	return b.String()
}
