package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// tables is the network between containers: cuts are rules of iptables in the
// namespace of the container that shall not hear.
type tables struct {
	lab *composed

	mu   sync.Mutex
	cuts map[[2]string]Ports   // from, to
	past map[[2]string]Traffic // of rules that are gone
}

// chain is ours; INPUT jumps to it.
const chain = "JEPSEN-LITE"

func newTables(l *composed) *tables {
	return &tables{lab: l, cuts: make(map[[2]string]Ports), past: make(map[[2]string]Traffic)}
}

// Set implements Network.
func (t *tables) Set(from, to string, ports Ports, rule Rule) error {
	if rule != (Rule{}) && rule != (Rule{Cut: true}) {
		return unable("containers' links can be cut, and no more")
	}
	n, err := t.node(to)
	if err != nil {
		return err
	}
	m, err := t.node(from)
	if err != nil {
		return err
	}
	// Who is down has no rules, and gets them when it is seen to run again.
	_, _ = n.Keeper()
	_, _ = m.Keeper()
	t.mu.Lock()
	defer t.mu.Unlock()
	link := [2]string{from, to}
	if rule.Cut {
		t.cuts[link] |= ports
	} else {
		t.cuts[link] &^= ports
	}
	return t.write(n)
}

// Heal implements Network.
func (t *tables) Heal() error {
	t.mu.Lock()
	clear(t.cuts)
	t.mu.Unlock()
	return t.again()
}

// again writes the rules of all containers that run, as addresses and namespaces
// may be new.
func (t *tables) again() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, n := range t.lab.nodes {
		errs = append(errs, t.write(n))
	}
	return errors.Join(errs...)
}

func (t *tables) node(name string) (*composedNode, error) {
	for _, n := range t.lab.nodes {
		if n.name == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

// pidAndIP are those of a node as last seen; asking the engine here would come
// back to write the rules.
func (n *composedNode) pidAndIP() (pid int, ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := State(n.keeper); err != nil {
		return 0, ""
	}
	return n.keeper.PID, n.ip
}

// write makes the rules of one container what cuts says. One that is down has
// no network; it gets its rules when it is seen to run again.
func (t *tables) write(to *composedNode) error {
	pid, _ := to.pidAndIP()
	if pid == 0 {
		return nil
	}
	if err := t.remember(to, pid); err != nil {
		return err
	}
	_, _ = inNet(pid, "-N", chain) // it may be there
	if _, err := inNet(pid, "-C", "INPUT", "-j", chain); err != nil {
		if _, err := inNet(pid, "-I", "INPUT", "-j", chain); err != nil {
			return err
		}
	}
	if _, err := inNet(pid, "-F", chain); err != nil {
		return err
	}
	for link, ports := range t.cuts {
		if link[1] != to.name || ports == 0 {
			continue
		}
		from, err := t.node(link[0])
		if err != nil {
			return err
		}
		if _, ip := from.pidAndIP(); ip != "" {
			for _, rule := range rulesOf(ip, link[0], ports) {
				if _, err := inNet(pid, append([]string{"-A", chain}, rule...)...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rulesOf are the rules that drop what comes from an address on these ports, by
// either end's port. The comment says whose address it was.
func rulesOf(ip, name string, ports Ports) (rules [][]string) {
	end := []string{"-m", "comment", "--comment", "from=" + name, "-j", "DROP"}
	from := []string{"-s", ip}
	if ports == AllPorts {
		return [][]string{append(from, end...)}
	}
	for _, p := range []struct {
		ports  Ports
		number int
	}{{Gossip, gossipPort}, {Cluster, clusterPort}, {API, apiPort}} {
		if ports&p.ports == 0 {
			continue
		}
		for _, proto := range []string{"tcp", "udp"} {
			for _, side := range []string{"--sport", "--dport"} {
				rule := append([]string{"-s", ip, "-p", proto, side, strconv.Itoa(p.number)}, end...)
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// inNet runs iptables in the network of a process.
func inNet(pid int, args ...string) (string, error) {
	line := append([]string{"-t", strconv.Itoa(pid), "-n", "iptables", "-w", "5"}, args...)
	var out, errOut bytes.Buffer
	cmd := exec.Command("nsenter", line...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("iptables %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// remember adds what the rules of a container have dropped to what is past.
func (t *tables) remember(to *composedNode, pid int) error {
	now, err := dropped(pid)
	for from, n := range now {
		link := [2]string{from, to.name}
		sum := t.past[link]
		sum.Cut += n
		t.past[link] = sum
	}
	return err
}

// dropped reads the counters of our rules, by the node that they are about.
func dropped(pid int) (map[string]uint64, error) {
	text, err := inNet(pid, "-L", chain, "-n", "-v", "-x")
	if err != nil {
		return nil, nil // the chain is not there yet
	}
	return parseCounters(text)
}

func parseCounters(text string) (map[string]uint64, error) {
	counts := make(map[string]uint64)
	for line := range strings.Lines(text) {
		_, comment, ok := strings.Cut(line, "/* from=")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(comment, " ")
		packets, err := strconv.ParseUint(strings.Fields(line)[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the counters of iptables: %q", line)
		}
		counts[name] += packets
	}
	return counts, nil
}

// Traffic implements Network: only what was cut is counted.
func (t *tables) Traffic(from, to string) (sum Traffic, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.lab.nodes {
		var now map[string]uint64
		if pid, _ := n.pidAndIP(); pid != 0 {
			if now, err = dropped(pid); err != nil {
				return sum, err
			}
		}
		for _, m := range t.lab.nodes {
			link := [2]string{m.name, n.name}
			if from == "" && to == "" || link == [2]string{from, to} {
				sum.Cut += t.past[link].Cut + now[m.name]
			}
		}
	}
	return sum, nil
}
