package api_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
)

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func TestHostsAndOrigins(t *testing.T) {
	w := newWorld(t, 1, func(c *api.Config) { c.Hosts = []string{"Shop.Example"} })
	url := w.nodes[0].web.URL
	own := strings.TrimPrefix(url, "http://")
	for _, c := range []struct {
		name, method string
		change       []func(*http.Request)
		ok           bool
	}{
		{"as it is", "GET", nil, true},
		{"localhost", "GET", []func(*http.Request){host("localhost:7402")}, true},
		{"another address", "GET", []func(*http.Request){host("10.1.2.3")}, true},
		{"IPv6", "GET", []func(*http.Request){host("[::1]:7402")}, true},
		{"IPv6 without port", "GET", []func(*http.Request){host("[::1]")}, true},
		{"node's name", "GET", []func(*http.Request){host("N1:7402")}, true},
		{"configured name", "GET", []func(*http.Request){host("shop.example")}, true},
		{"rebound name", "GET", []func(*http.Request){host("evil.example:7402")}, false},
		{"name that looks like localhost", "GET", []func(*http.Request){host("localhost.evil.example")}, false},
		{"own page", "POST", []func(*http.Request){header("Origin", url), header("Sec-Fetch-Site", "same-origin")}, true},
		{"other page reads", "GET", []func(*http.Request){header("Origin", "http://evil.example")}, false},
		{"other page writes", "POST", []func(*http.Request){header("Origin", "http://evil.example")}, false},
		{"no page", "POST", []func(*http.Request){header("Origin", "null")}, false},
		{"same host, other port", "POST", []func(*http.Request){header("Origin", "http://127.0.0.1:1")}, false},
		{"other site without origin", "POST", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, false},
		{"sub-domain without origin", "POST", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, false},
		{"link from another page", "GET", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, true},
		{"both rebound", "POST", []func(*http.Request){host("evil.example"), header("Origin", "http://evil.example")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/v1/health"
			if c.method == "POST" {
				path = "/v1/nodes/n1/undrain"
			}
			res := get(t, c.method, "http://"+own+path, "", c.change...)
			body := read(t, res)
			if ok := res.StatusCode == 200; ok != c.ok {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			if !c.ok && (res.StatusCode != 403 || !strings.Contains(body, `"forbidden"`)) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	if n := w.nodes[0].submits; n != 1 {
		t.Errorf("%d writes got through, want 1", n)
	}
}

// serveOn runs a second server of a node on listeners of the test.
func serveOn(t *testing.T, m *member, lis ...net.Listener) (stop func() error) {
	t.Helper()
	s := must(api.New(api.Config{Cluster: alone{m}, Logs: &m.logs, Self: m.self, Peers: m.w.peers}))(t)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx, lis...) }()
	t.Cleanup(cancel)
	return func() error {
		cancel()
		return <-over
	}
}

// alone is a member whose cluster port is served already.
type alone struct{ *member }

func (alone) HTTP() net.Listener { return nil }

func TestUnixSocket(t *testing.T) {
	w := newWorld(t, 1)
	socket := filepath.Join(t.TempDir(), "api.sock")
	tcp := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	stop := serveOn(t, w.nodes[0], must(net.Listen("unix", socket))(t), tcp)
	c := must(client.New(client.Config{Socket: socket}))(t)
	if st := must(c.Status(t.Context()))(t); len(st.Nodes) != 1 {
		t.Errorf("status %+v", st)
	}
	must(c.Apply(t.Context(), "shop", shop, ""))(t)
	// No browser comes this way, so a Host means nothing.
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}
	defer transport.CloseIdleConnections()
	res := must(transport.RoundTrip(newRequest(t, "GET", "http://anything.example/v1/health", "")))(t)
	if body := read(t, res); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res := get(t, "GET", "http://"+tcp.Addr().String()+"/v1/health", ""); res.StatusCode != 200 {
		t.Errorf("over TCP: %d", res.StatusCode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), socket) {
		t.Errorf("error after the end: %v", err)
	}
}

func TestRunEndsStreamsAndHeldRequests(t *testing.T) {
	w := newWorld(t, 1)
	tcp := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	url := "http://" + tcp.Addr().String()
	stop := serveOn(t, w.nodes[0], tcp)
	s := openStream(t, url+"/v1/events/stream?stale=true")
	s.next()
	w.lead(nil)
	looks := w.nodes[0].countLooks()
	held := make(chan string, 1)
	go func() { held <- read(t, get(t, "GET", url+"/v1/status", "")) }()
	until(t, "the request is held", func() bool { return looks.Load() > 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if body := <-held; !strings.Contains(body, "this node is stopping") {
		t.Errorf("the held request got %s", body)
	}
	if _, err := s.read.ReadString('\n'); err == nil {
		t.Error("the stream goes on")
	}
}

func TestRunTellsOfAListenerThatFails(t *testing.T) {
	w := newWorld(t, 1)
	tcp := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	tcp.Close()
	s := must(api.New(api.Config{Cluster: alone{w.nodes[0]}, Logs: &w.nodes[0].logs, Self: w.nodes[0].self, Peers: w.peers}))(t)
	if err := s.Run(t.Context(), tcp); err == nil || !strings.Contains(err.Error(), "cannot serve the API") {
		t.Errorf("error %v", err)
	}
}

func TestConfigs(t *testing.T) {
	if _, err := api.New(api.Config{HoldFor: -1}); err == nil || !strings.Contains(err.Error(), "a cluster") || !strings.Contains(err.Error(), "negative") {
		t.Errorf("error %v", err)
	}
	for _, c := range []client.Config{
		{}, {API: "a:1", Socket: "/s"}, {API: "https://a:1"}, {API: "http://a:1/v1"}, {API: "::"}, {Socket: "/s", Timeout: -1},
	} {
		if _, err := client.New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
