package dev

import (
	"fmt"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
)

func (d *dev) printf(format string, args ...any) { fmt.Fprintf(d.cfg.Out, format, args...) }

// note prints a line of dev's own, in the manner of an event.
func (d *dev) note(format string, args ...any) {
	d.printf("%s  %-8s  %s\n", time.Now().Format("15:04:05.000"), "dev", fmt.Sprintf(format, args...))
}

func (d *dev) banner() {
	d.printf("%d nodes run on this machine; their data and logs are in %s\n", len(d.members), d.dir)
	for _, m := range d.members {
		d.printf("  %s  pid %-8d gossip %s:%d  cluster :%d  API http://%s:%d\n", m.name, m.pid, m.bind, m.port, m.port+1, m.bind, m.port+2)
	}
	at := fmt.Sprintf("%s --data %s", d.cfg.Called, d.members[0].dir)
	d.printf("Look at them from another terminal:\n")
	for _, command := range []string{"status", "tree", "events -f"} {
		d.printf("  %s %s\n", at, command)
	}
	if d.cfg.Tree == "" {
		d.printf("Give them something to run:\n  %s apply TREE.yaml\n", at)
	}
	d.printf("Ctrl-C ends it all.\n\n")
}

// tellNext says what to kill next, once everything has settled and if that is
// not what was said last.
func (d *dev) tellNext(l look) {
	if l.err != nil || !settled(l.status, d.running()) {
		d.changed = time.Now() // look again
		return
	}
	d.changed = time.Time{}
	text := d.targets(l.status)
	if text != "" && text != d.said {
		d.printf("\n%s\n", text)
	}
	d.said = text
}

func (d *dev) running() (n int) {
	for _, m := range d.members {
		if m.pid != 0 {
			n++
		}
	}
	return n
}

// settled: every node whose process runs is alive, there is a leader, and no
// tree is on its way.
func settled(st api.Status, processes int) bool {
	if st.Cluster.Leader == "" || alive(st) != processes {
		return false
	}
	for _, t := range st.Trees {
		for _, ch := range t.Children {
			switch ch.Status {
			case "starting", "stopping", "backoff":
				return false
			}
		}
	}
	return true
}

// targets is what is worth killing now: a child and the node that leads.
func (d *dev) targets(st api.Status) string {
	var lines []string
	if ch, ok := victim(st); ok {
		lines = append(lines, fmt.Sprintf("  kill -9 %-8d # child %s on %s", ch.PID, ch.Path, ch.Node))
	}
	for _, m := range d.members {
		if m.name == st.Cluster.Leader && m.pid != 0 {
			lines = append(lines, fmt.Sprintf("  kill -9 %-8d # node %s, which leads", m.pid, m.name))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "Try to break it:\n" + strings.Join(lines, "\n") + "\n"
}

// victim is the first child that runs.
func victim(st api.Status) (api.ChildStatus, bool) {
	for _, t := range st.Trees {
		for _, ch := range t.Children {
			if !ch.Supervisor && ch.Status == "running" && ch.PID > 0 {
				return ch, true
			}
		}
	}
	return api.ChildStatus{}, false
}
