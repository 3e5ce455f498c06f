package health

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// reply is what the server says to one service.
type reply struct {
	body            []byte
	status, message string
	header          bool // in the header, as an answer without body has it
	code            int
}

func frame(message ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// grpcServer answers as a gRPC server does, by the name of the service.
func grpcServer(t *testing.T, replies map[string]reply) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		name := ""
		if len(body) > 7 {
			name = string(body[7:])
		}
		if req.ProtoMajor != 2 || req.Method != "POST" || req.URL.Path != grpcMethod || req.Header.Get("Te") != "trailers" ||
			req.Header.Get("Content-Type") != "application/grpc" || !strings.HasSuffix(req.Header.Get("Grpc-Timeout"), "m") {
			t.Errorf("asked by %s %s %s with %v", req.Proto, req.Method, req.URL, req.Header)
		}
		if name != "" && string(body) != string(frame(append([]byte{0x0a, byte(len(name))}, name...)...)) || name == "" && string(body) != string(frame()) {
			t.Errorf("asked %x", body)
		}
		r, ok := replies[name]
		if !ok {
			<-req.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		status := http.TrailerPrefix + "Grpc-Status"
		if r.header {
			status = "Grpc-Status"
		}
		if r.status != "" {
			w.Header().Set(status, r.status)
			w.Header().Set(http.TrailerPrefix+"Grpc-Message", r.message)
		}
		if r.code != 0 {
			w.WriteHeader(r.code)
		}
		w.Write(r.body)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestGRPC(t *testing.T) {
	type want struct {
		reply
		says string
	}
	ok := func(body []byte, says string) want { return want{reply{body: body, status: "0"}, says} }
	cases := map[string]want{
		"":         ok(frame(8, 1), ""),
		"shop":     ok(frame(8, 1), ""),
		"unknown":  ok(frame(), "/unknown says UNKNOWN"),
		"down":     ok(frame(8, 2), "/down says NOT_SERVING"),
		"odd":      ok(frame(8, 77), "/odd says 77"),
		"newer":    ok(frame(16, 5, 8, 1, 26, 2, 'h', 'i', 37, 1, 2, 3, 4, 41, 1, 2, 3, 4, 5, 6, 7, 8), ""),
		"short":    ok(frame(8, 1)[:6], "no HealthCheckResponse"),
		"cut":      ok(frame(8), "no HealthCheckResponse"),
		"group":    ok(frame(11, 1), "no HealthCheckResponse"),
		"long":     ok(frame(26, 200, 1), "no HealthCheckResponse"),
		"squeezed": ok([]byte{1, 0, 0, 0, 2, 8, 1}, "no HealthCheckResponse"),
		"huge":     ok(make([]byte, maxGRPC+1), "more than"),
		"nowhere":  {reply{status: "5", header: true}, "NOT_FOUND"},
		"nothing":  {reply{status: "12"}, "UNIMPLEMENTED"},
		"denied":   {reply{status: "7", message: "go away"}, "gRPC status 7: go away"},
		"web":      {reply{body: []byte("<html>")}, "is no gRPC server"},
		"broken":   {reply{code: 502, status: "0"}, "answers 502 Bad Gateway"},
	}
	replies := make(map[string]reply)
	for name, c := range cases {
		replies[name] = c.reply
	}
	address := grpcServer(t, replies)
	for name, c := range cases {
		says(t, GRPC{Address: address, Service: name}, c.says)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if s := (GRPC{Address: address, Service: "silent"}).Check(ctx); !strings.Contains(s.Reason, "deadline exceeded") {
		t.Errorf("got %s", s)
	}
	says(t, GRPC{Address: "127.0.0.1:1"}, "connection refused")
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	says(t, GRPC{Address: plain.Listener.Addr().String()}, "grpc 127.0.0.1:")
}
