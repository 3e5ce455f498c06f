package lab

import (
	"errors"
	"fmt"
	"os"
)

// Validate says what is wrong, and fills in the defaults.
func (c *Config) Validate() error {
	if c.Backend == "" {
		c.Backend = "netns"
	}
	if c.Nodes == 0 {
		c.Nodes = 5
		if c.Backend == "compose" {
			c.Nodes = 3
		}
	}
	if c.LogLevel == "" {
		c.LogLevel = "debug"
	}
	switch {
	case c.Nodes < 1 || c.Nodes > maxNodes:
		return fmt.Errorf("cannot make %d nodes: 1 to %d", c.Nodes, maxNodes)
	case c.Dir == "":
		return errors.New("cannot make a lab without a folder for its logs")
	}
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("cannot keep logs in %s: it is no folder", c.Dir)
	}
	return nil
}

const maxNodes = 20

// New makes a lab; Start brings it to life. The error is an *Unable if this
// machine cannot have such a lab.
func New(cfg Config) (Lab, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	switch cfg.Backend {
	case "netns", "loopback":
		return newProcs(cfg)
	case "compose":
		return newComposed(cfg)
	}
	return nil, unable("there is no back-end %q", cfg.Backend)
}
