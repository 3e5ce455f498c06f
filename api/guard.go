package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/selfware/selfware/internal/bug"
)

// guard keeps other web sites out. A browser lets any page send requests to
// this API; two rules make them useless:
//
//   - the Host must be an IP address, localhost, the node's name or one of
//     Config.Hosts, so a name that an attacker makes point here (DNS rebinding)
//     is refused;
//   - a request that a browser says comes from another site (Origin, or
//     Sec-Fetch-Site for what changes something) is refused.
//
// The unix socket needs neither: no browser reaches it, and its file mode says
// who may. Who may do what over TCP is decided in allowed.
func (s *Server) guard(r *http.Request) *Problem {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr.Network() == "unix" {
		return nil
	}
	if !s.knownHost(r.Host) && !bug.On("foreign-host-served") {
		return newProblem(http.StatusForbidden, CodeForbidden, fmt.Sprintf(
			"cannot serve the host %q: call this node by its IP address or by its name %q, or add the host to the names of its API",
			r.Host, s.cfg.Self.Name))
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, r.Host) {
		return newProblem(http.StatusForbidden, CodeForbidden, fmt.Sprintf(
			"cannot serve a page of %s: only pages of this node may use its API", origin))
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Method != http.MethodGet && (site == "cross-site" || site == "same-site") {
		return newProblem(http.StatusForbidden, CodeForbidden,
			"cannot serve a page of another site: only pages of this node may use its API")
	}
	return nil
}

func (s *Server) knownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return s.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// allowed is the one place for who may do what. All who reach the API may do
// all of it: the port belongs on loopback or in a trusted network.
func (s *Server) allowed(*http.Request, kind) *Problem { return nil }

// internal are the headers that count only between nodes.
var internal = []string{headerForwarded, headerHere, headerGoID, headerGoAddr, headerCode}

func dropInternal(h http.Header) {
	for _, name := range internal {
		h.Del(name)
	}
}
