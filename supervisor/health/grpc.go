package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// GRPC passes if the server at Address (host:port, without TLS) says of Service that it
// is SERVING, in the health protocol of gRPC:
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md. "" asks for the
// server as a whole.
//
// The call is made by hand over net/http's HTTP/2: two messages of one field each do
// not need a gRPC library, nor a dependency.
type GRPC struct {
	Address string
	Service string
}

const grpcMethod = "/grpc.health.v1.Health/Check"

// maxGRPC bounds the answer, in bytes. Two would be enough.
const maxGRPC = 4 << 10

// grpcClient speaks HTTP/2 at once, without TLS and without an upgrade, as gRPC does.
var grpcClient = &http.Client{Transport: grpcTransport()}

func grpcTransport() *http.Transport {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// servingStatus are the names of HealthCheckResponse.ServingStatus.
var servingStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const serving = 1

// Name is "grpc", the address and the service.
func (c GRPC) Name() string {
	if c.Service == "" {
		return "grpc " + c.Address
	}
	return "grpc " + c.Address + "/" + c.Service
}

// Check calls grpc.health.v1.Health/Check.
func (c GRPC) Check(ctx context.Context) HealthStatus {
	status, err := c.call(ctx)
	if err != nil {
		return statusOf(fmt.Errorf("%s: %w", c.Name(), err))
	}
	if status == serving {
		return Healthy()
	}
	word := strconv.FormatUint(status, 10)
	if status < uint64(len(servingStatus)) {
		word = servingStatus[status]
	}
	return Unhealthy(fmt.Sprintf("%s says %s", c.Name(), word), Critical)
}

func (c GRPC) call(ctx context.Context) (status uint64, err error) {
	target := url.URL{Scheme: "http", Host: c.Address, Path: grpcMethod}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(c.request()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	if deadline, ok := ctx.Deadline(); ok {
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(max(1, time.Until(deadline).Milliseconds()), 10)+"m")
	}
	resp, err := grpcClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answers %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGRPC+1))
	if err != nil {
		return 0, err
	}
	if len(body) > maxGRPC {
		return 0, fmt.Errorf("answers more than %d bytes", maxGRPC)
	}
	if err := grpcError(resp); err != nil {
		return 0, err
	}
	return parseResponse(body)
}

// request is HealthCheckRequest{service = 1}, in gRPC's frame: a flag that it is not
// compressed, four bytes of length, the message.
func (c GRPC) request() []byte {
	var message []byte
	if c.Service != "" {
		message = binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(c.Service)))
		message = append(message, c.Service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(frame, message...)
}

// grpcError is the status of the call, which is in the trailer, or in the header of an
// answer that has no body.
func grpcError(resp *http.Response) error {
	from := resp.Trailer
	if from.Get("Grpc-Status") == "" {
		from = resp.Header
	}
	switch code := from.Get("Grpc-Status"); code {
	case "0":
		return nil
	case "":
		return errors.New("is no gRPC server: it gives no status")
	case "5":
		return errors.New("does not know this service (NOT_FOUND)")
	case "12":
		return errors.New("has no health service (UNIMPLEMENTED)")
	default:
		return fmt.Errorf("gRPC status %s: %s", clip(code), clip(from.Get("Grpc-Message")))
	}
}

// parseResponse reads the status of HealthCheckResponse{status = 1}: a varint, and 0
// if the field is missing. Other fields are those of a newer protocol, and skipped.
func parseResponse(frame []byte) (status uint64, err error) {
	bad := errors.New("answers what is no HealthCheckResponse")
	if len(frame) < 5 || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-5 {
		return 0, bad
	}
	for m := frame[5:]; len(m) > 0; {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, bad
		}
		m = m[n:]
		value, n := binary.Uvarint(m)
		switch wire := tag & 7; {
		case wire == 1 && len(m) >= 8:
			n = 8
		case wire == 5 && len(m) >= 4:
			n = 4
		case wire == 0 && n > 0 && tag>>3 == 1:
			status = value
		case wire == 0 && n > 0:
		case wire == 2 && n > 0 && value <= uint64(len(m)-n):
			n += int(value)
		default:
			return 0, bad
		}
		m = m[n:]
	}
	return status, nil
}
