package knock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/selfware/selfware/cluster/mux"
)

const (
	defaultPort = 7401
	again       = 500 * time.Millisecond
	oneTry      = 5 * time.Second
)

// Knock returns nil once a node of the token's cluster answers at addr (host or
// host:port) and has proven that it holds the same key. It tries for as long as
// patience while nobody answers; say gets a line when it begins to wait.
func Knock(ctx context.Context, addr, token string, patience time.Duration, say func(string)) error {
	t, err := mux.ParseToken(token)
	if err != nil {
		return fmt.Errorf("cannot join: %w", err)
	}
	if addr, err = doorOf(addr); err != nil {
		return err
	}
	d := mux.Dialer{
		Self:             mux.Identity{ClusterID: t.ClusterID, NodeID: "knock-" + rand.Text(), Key: t.Key},
		HandshakeTimeout: oneTry,
	}
	end, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for said := false; ; {
		err := try(ctx, &d, addr)
		if err == nil {
			return nil
		}
		if verdict := final(addr, t, err); verdict != nil {
			return verdict
		}
		if !said && patience > 0 {
			say(fmt.Sprintf("waiting up to %v for a node at %s (%s)", patience, addr, short(addr, err)))
			said = true
		}
		if !pause(end) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("cannot join through %s: nobody to speak to there after %v (%s); is a node running there, and is this its cluster port (7401 by default)?", addr, patience, short(addr, err))
		}
	}
}

// doorOf completes an address with the cluster port.
func doorOf(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), strconv.Itoa(defaultPort)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 2 || n > 65535 || host == "" || strings.ContainsAny(host, "/ ") {
		return "", fmt.Errorf("cannot join %q: give the host, or host:port with the cluster port of a node there (7401)", addr)
	}
	return net.JoinHostPort(host, port), nil
}

// try opens a connection as a node would and closes it at once. Every node
// serves sessions from its start on, whether it leads or not.
func try(ctx context.Context, d *mux.Dialer, addr string) error {
	conn, err := d.DialPurpose(ctx, addr, mux.Session)
	if err != nil {
		return err
	}
	return conn.Close()
}

// final words what no further try can mend; nil if one might.
func final(addr string, t mux.Token, err error) error {
	var other *mux.ClusterError
	switch {
	case errors.As(err, &other):
		return fmt.Errorf("cannot join through %s: wrong cluster: that node is of %s, the token of %s; `selfware-node token` there prints the right one", addr, other.Theirs, t.ClusterID)
	case errors.Is(err, mux.ErrWrongKey):
		return fmt.Errorf("cannot join through %s: wrong token: its key is not the one of cluster %s; `selfware-node token` there prints the right one", addr, t.ClusterID)
	case errors.Is(err, mux.ErrVersion):
		return fmt.Errorf("cannot join through %s: that node speaks another version of the protocol; run the same version of selfware-node on all", addr)
	case errors.Is(err, mux.ErrNotSelfware), errors.Is(err, mux.ErrMalformed):
		return fmt.Errorf("cannot join through %s: this is no selfware cluster port (%s); give the cluster port of a node, 7401 by default", addr, short(addr, err))
	}
	return nil
}

// short is the reason alone.
func short(addr string, err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, mux.ErrNoService):
		return "it is still starting"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	}
	return strings.TrimPrefix(err.Error(), fmt.Sprintf("cannot connect to %s for %s: ", addr, mux.Session))
}

func pause(ctx context.Context) bool {
	t := time.NewTimer(again)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
