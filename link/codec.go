package link

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	// Text need not be UTF-8: what a program printed may be in it, and a message
	// that is refused would be sent again for ever.
	decMode = must(cbor.DecOptions{
		MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 16, MaxNestedLevels: 64, UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Stream frames values over a connection: 4 bytes of length, then CBOR.
// Writes are serialised; one goroutine may read.
type Stream struct {
	conn io.ReadWriteCloser
	r    *bufio.Reader

	// lock holds one token. A channel and not a mutex: a blocked write must
	// count as blocked in a simulated network too.
	lock chan struct{}
	buf  []byte
}

// NewStream wraps conn; Close closes it.
func NewStream(conn io.ReadWriteCloser) *Stream {
	return &Stream{conn: conn, r: bufio.NewReaderSize(conn, 8<<10), lock: make(chan struct{}, 1)}
}

// Write sends one value.
func (s *Stream) Write(v any) error {
	body, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode a session message: %w", err)
	}
	if len(body) > MaxFrame {
		return fmt.Errorf("cannot send a session message of %d bytes: the limit is %d", len(body), MaxFrame)
	}
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	s.buf = binary.BigEndian.AppendUint32(s.buf[:0], uint32(len(body)))
	s.buf = append(s.buf, body...)
	_, err = s.conn.Write(s.buf)
	if cap(s.buf) > 64<<10 {
		s.buf = nil
	}
	return err
}

// Read receives one value into v.
func (s *Stream) Read(v any) error {
	var head [4]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxFrame {
		return fmt.Errorf("cannot read a session message of %d bytes: the limit is %d", n, MaxFrame)
	}
	// Grow with what arrives, not with what the length claims.
	body, err := io.ReadAll(io.LimitReader(s.r, int64(n)))
	if err != nil {
		return err
	}
	if len(body) != int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := decMode.Unmarshal(body, v); err != nil {
		return fmt.Errorf("cannot decode a session message: %w", err)
	}
	return nil
}

// Close ends the session.
func (s *Stream) Close() error { return s.conn.Close() }
