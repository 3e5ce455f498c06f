package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// TCP passes if Address (host:port) accepts a connection.
type TCP struct{ Address string }

// Name is "tcp" and the address.
func (c TCP) Name() string { return "tcp " + c.Address }

// Check connects, and says nothing.
func (c TCP) Check(ctx context.Context) HealthStatus {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err == nil {
		err = conn.Close()
	}
	return statusOf(err)
}

// HTTP passes if URL answers a GET with a status of 200 to 399. Redirects are not
// followed, and no body is read.
type HTTP struct{ URL string }

// httpClient follows nothing and keeps nothing open.
var httpClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Name is "http" and the URL.
func (c HTTP) Name() string { return "http " + c.URL }

// Check asks by GET.
func (c HTTP) Check(ctx context.Context) HealthStatus { return statusOf(c.get(ctx)) }

func (c HTTP) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s answers %s", c.URL, resp.Status)
	}
	return nil
}
