package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/selfware/selfware/jepsen-lite/vswitch"
)

// composedNode is one container.
type composedNode struct {
	lab       *composed
	name, log string
	id        string // of the container
	http      *http.Client
	disk      *disk
	clock     *paged // nil without CanClock

	mu     sync.Mutex
	keeper Proc
	ip     string
	boot   int
}

// Name implements Node.
func (n *composedNode) Name() string { return n.name }

// URL implements Node: each node is asked at home.
func (n *composedNode) URL() string { return "http://127.0.0.1:" + strconv.Itoa(apiPort) }

// HTTP implements Node.
func (n *composedNode) HTTP() *http.Client { return n.http }

// DataDir implements Node.
func (n *composedNode) DataDir() string { return filepath.Join(n.disk.mount(), "data") }

// Log implements Node.
func (n *composedNode) Log() string { return n.log }

// Boot implements Node.
func (n *composedNode) Boot() int { n.mu.Lock(); defer n.mu.Unlock(); return n.boot }

// Left implements Node.
func (n *composedNode) Left() bool { return false }

// Disk implements Node.
func (n *composedNode) Disk() Disk { return n.disk }

// Clock implements Node.
func (n *composedNode) Clock() Clock {
	if n.clock == nil {
		return nil
	}
	return n.clock
}

// IP implements Node: the engine may give another one at each start.
func (n *composedNode) IP() string {
	if _, err := n.Keeper(); err != nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ip
}

func (n *composedNode) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ns, err := n.namespace()
			if err != nil {
				return nil, err
			}
			defer ns.Close()
			return ns.Dial(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(apiPort)))
		},
	}}
}

// namespace opens the network of the container as it runs now.
func (n *composedNode) namespace() (*vswitch.Namespace, error) {
	k, err := n.Keeper()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	return vswitch.OpenNamespace(k.PID)
}

// Keeper implements Node: process 1 of the container, by the pid that the tester
// sees. The engine starts a container again by itself when its process ends, so
// the pid may be another at any time; the network is then a fresh one, and what
// is cut is cut again.
func (n *composedNode) Keeper() (Proc, error) {
	n.mu.Lock()
	last := n.keeper
	n.mu.Unlock()
	if last.PID != 0 {
		if _, err := State(last); err == nil {
			return last, nil
		}
	}
	c, err := n.lab.docker.inspect(n.id)
	if err != nil {
		return Proc{}, err
	}
	if !c.State.Running || c.State.PID == 0 {
		return Proc{}, errDown
	}
	k, err := procOf(c.State.PID)
	if err != nil {
		return Proc{}, errDown
	}
	n.mu.Lock()
	n.keeper = k
	for _, net := range c.NetworkSettings.Networks {
		n.ip = net.IPAddress
	}
	n.mu.Unlock()
	if last.PID != 0 && n.lab.net != nil {
		return k, n.lab.net.again()
	}
	return k, nil
}

// Agent implements Node.
func (n *composedNode) Agent() (Proc, error) {
	k, err := n.Keeper()
	if err != nil {
		return Proc{}, err
	}
	return agentOf(k)
}

// Children implements Node.
func (n *composedNode) Children() ([]Proc, error) {
	k, err := n.Keeper()
	if err != nil {
		return nil, err
	}
	return childrenOf(k)
}

// Start implements Node.
func (n *composedNode) Start(context.Context) error {
	if err := n.lab.docker.do(n.id, "start"); err != nil {
		return fmt.Errorf("cannot start %s: %w", n.name, err)
	}
	n.mu.Lock()
	n.boot++
	n.mu.Unlock()
	_, err := n.Keeper()
	return err
}

// Kill implements Node.
func (n *composedNode) Kill() error {
	k, err := n.Keeper()
	if err != nil {
		return nil
	}
	if err := n.lab.docker.do(n.id, "kill"); err != nil {
		return fmt.Errorf("cannot kill %s: %w", n.name, err)
	}
	if err := Await(k, "", killLimit); err != nil {
		return err
	}
	// The engine is done with a container a little after its process has ended.
	return await(context.Background(), killLimit, n.name+" is down", func() string {
		c, err := n.lab.docker.inspect(n.id)
		if err != nil || c.State.Running {
			return fmt.Sprintf("it runs (%v)", err)
		}
		return ""
	})
}

// Stop implements Node.
func (n *composedNode) Stop(context.Context) error {
	return n.lab.docker.do(n.id, "stop?t="+strconv.Itoa(int(stopLimit/time.Second)))
}

// Freeze implements Node: the engine freezes the container's cgroup.
func (n *composedNode) Freeze() error {
	if err := n.lab.docker.do(n.id, "pause"); err != nil {
		return fmt.Errorf("cannot freeze %s: %w", n.name, err)
	}
	c, err := n.lab.docker.inspect(n.id)
	if err == nil && !c.State.Paused {
		err = fmt.Errorf("cannot freeze %s: it still runs", n.name)
	}
	return err
}

// Thaw implements Node.
func (n *composedNode) Thaw() error {
	c, err := n.lab.docker.inspect(n.id)
	if err != nil {
		return err
	}
	if c.State.Paused {
		if err := n.lab.docker.do(n.id, "unpause"); err != nil {
			return err
		}
	}
	if k, err := n.Keeper(); err == nil {
		return thaw(k) // single processes that were stopped
	}
	return nil
}

// saveLog keeps what the container printed over all its starts.
func (n *composedNode) saveLog() error {
	f, err := os.Create(n.log)
	if err != nil {
		return fmt.Errorf("cannot keep the log of %s: %w", n.name, err)
	}
	defer f.Close()
	cmd := exec.Command("docker", "logs", n.id)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot keep the log of %s: %w", n.name, err)
	}
	return nil
}
