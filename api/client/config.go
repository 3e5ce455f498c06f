package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/selfware/selfware/supervisor/breaker"
)

// Config says which node to speak to. Exactly one of API and Socket is set.
type Config struct {
	// API is the node's API: "127.0.0.1:7402" or "http://127.0.0.1:7402".
	API string
	// Socket is the path of the node's unix socket.
	Socket string
	// Timeout bounds one request, but not a stream. 0 is 30 s.
	Timeout time.Duration
	// HTTP carries the requests, if the node is reached in a way of its own. Its
	// timeout must be 0: streams last.
	HTTP *http.Client
	// By says who asks, for the record; "api" if empty.
	By string
	// Breaker, if set, guards the node: after it could not be reached five times in a
	// row (of the default config), requests fail at once with breaker.ErrCircuitOpen,
	// for 30 s. A node that answers is reached, whatever it says.
	Breaker *breaker.CircuitBreaker
}

// Validate says what is wrong.
func (c Config) Validate() error {
	switch {
	case c.API == "" && c.Socket == "":
		return errors.New("cannot reach a node without its address or its socket")
	case c.API != "" && c.Socket != "":
		return errors.New("cannot use an address and a socket at once")
	case c.HTTP != nil && (c.API == "" || c.HTTP.Timeout != 0):
		return errors.New("cannot use an HTTP client that has a timeout, or without an address")
	case c.Timeout < 0:
		return errors.New("cannot use a negative timeout")
	case c.Socket != "":
		return nil
	}
	u, err := url.Parse(hostOf(c.API))
	if err != nil || u.Host == "" || u.Scheme != "http" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("cannot use %q as the address of a node: write host:port, such as 127.0.0.1:7402", c.API)
	}
	return nil
}

// New makes a client. It connects to nothing yet.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	if cfg.HTTP != nil {
		return &Client{cfg: cfg, base: hostOf(cfg.API), http: cfg.HTTP}, nil
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		Proxy: http.ProxyFromEnvironment,
	}
	c := &Client{cfg: cfg, base: hostOf(cfg.API), http: &http.Client{Transport: transport}}
	if cfg.Socket != "" {
		c.base = "http://localhost"
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", cfg.Socket)
		}
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// where names the node for messages.
func (c *Client) where() string { return cmp.Or(c.cfg.Socket, c.cfg.API) }
