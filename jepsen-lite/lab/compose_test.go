package lab

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRules: what is dropped is dropped by either end's port, and all of it if all
// ports are meant.
func TestRules(t *testing.T) {
	if rules := rulesOf("10.0.0.1", "node1", AllPorts); len(rules) != 1 || slices.Contains(rules[0], "-p") {
		t.Errorf("all ports: %v", rules)
	}
	rules := rulesOf("10.0.0.1", "node1", Cluster|Gossip)
	var text []string
	for _, r := range rules {
		text = append(text, strings.Join(r, " "))
	}
	if len(rules) != 8 || !slices.Contains(text, "-s 10.0.0.1 -p tcp --sport 7401 -m comment --comment from=node1 -j DROP") {
		t.Errorf("cluster and gossip:\n%s", strings.Join(text, "\n"))
	}
}

// TestCounters: as iptables 1.8 prints them.
func TestCounters(t *testing.T) {
	got, err := parseCounters(`Chain JEPSEN-LITE (1 references)
    pkts      bytes target     prot opt in     out     source               destination
      12     1872 DROP       all  --  *      *       172.18.0.2           0.0.0.0/0            /* from=node1 */
       3      180 DROP       tcp  --  *      *       172.18.0.3           0.0.0.0/0            tcp spt:7401 /* from=node2 */
       4      240 DROP       tcp  --  *      *       172.18.0.3           0.0.0.0/0            tcp dpt:7401 /* from=node2 */
`)
	if err != nil || got["node1"] != 12 || got["node2"] != 7 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestCompose: containers of the project's own docker-compose.yml can be cut,
// killed, frozen, and run out of disk.
func TestCompose(t *testing.T) {
	image := (&composed{}).image()
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Skipf("no image %s: docker-compose build makes it", image)
	}
	l := start(t, Config{Backend: "compose"})
	leader, err := Leader(t.Context(), l)
	must(t, err)
	others := slices.DeleteFunc(l.Nodes(), func(n Node) bool { return n.Name() == leader.Name() })

	for _, n := range others {
		must(t, l.Network().Set(leader.Name(), n.Name(), AllPorts, Rule{Cut: true}))
		must(t, l.Network().Set(n.Name(), leader.Name(), AllPorts, Rule{Cut: true}))
	}
	must(t, await(t.Context(), 30*time.Second, "another leads", func() string {
		var s struct{ Cluster struct{ Leader string } }
		if err := Ask(t.Context(), others[0], "/v1/status", &s); err != nil {
			return err.Error()
		}
		if s.Cluster.Leader == leader.Name() {
			return "it is the same"
		}
		return ""
	}))
	sum, err := l.Network().Traffic("", "")
	must(t, err)
	if sum.Cut == 0 {
		t.Error("the cut dropped nothing")
	}
	t.Logf("%s is cut off; traffic %+v", leader.Name(), sum)
	must(t, l.Network().Heal())
	must(t, Settle(t.Context(), l, 60*time.Second))

	n := others[0]
	must(t, n.Freeze())
	if Ask(t.Context(), n, "/v1/health", &struct{}{}) == nil {
		t.Error("a frozen node answers")
	}
	must(t, n.Thaw())
	must(t, n.Kill())
	if _, err := n.Keeper(); err == nil {
		t.Error("a killed node is up")
	}
	must(t, n.Start(t.Context()))
	must(t, Settle(t.Context(), l, 60*time.Second))
	bytes, err := n.Disk().Fill()
	must(t, err)
	must(t, n.Disk().Free())
	t.Logf("filled with %d bytes; the keeper of %s is %v", bytes, n.Name(), n.Boot())
}
