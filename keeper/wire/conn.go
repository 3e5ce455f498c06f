package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// MaxQueue bounds what waits to be sent, in bytes.
const MaxQueue = 64 << 20

// ErrClosed: the connection has ended.
var ErrClosed = errors.New("the connection has ended")

// Conn is one end of the socket pair. Recv belongs to one goroutine, which calls
// Close when it fails; Send may be called by any.
type Conn struct {
	fd int

	// Of Recv.
	buf  []byte
	fds  []int // arrived, and not handed out
	some [64 << 10]byte
	oob  []byte

	writer sync.WaitGroup
	wake   chan struct{} // capacity 1

	mu     sync.Mutex
	queue  []frame // not empty: the writer alone sends
	queued int
	closed bool
}

type frame struct {
	data []byte
	fds  []int
	lent bool
}

func (f *frame) free() {
	if !f.lent {
		closeAll(f.fds)
	}
	f.fds = nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Pair makes a socket pair.
func Pair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("cannot make a socket pair: %v", err)
	}
	return p[0], p[1], nil
}

// NewConn speaks over fd, one end of a Pair, and owns it.
func NewConn(fd int) *Conn {
	unix.CloseOnExec(fd)
	c := &Conn{fd: fd, oob: make([]byte, unix.CmsgSpace(4*MaxFDs)), wake: make(chan struct{}, 1)}
	c.writer.Go(c.write)
	return c
}

// Send hands m over and returns at once. After the end it does nothing.
func (c *Conn) Send(m *Message) error {
	f := frame{fds: m.FDs, lent: m.Lent}
	var err error
	if f.data, err = m.encode(); err != nil {
		f.free()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		f.free()
		return ErrClosed
	}
	if len(c.queue) == 0 {
		if f.send(c.fd, unix.MSG_DONTWAIT) {
			return nil
		}
	}
	if c.queued += len(f.data); c.queued > MaxQueue {
		f.free()
		c.shut()
		return fmt.Errorf("cannot send: %d bytes wait already, the peer takes none", MaxQueue)
	}
	c.queue = append(c.queue, f)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// send tells whether all of f is sent, or will never be. Else the rest is in f.
func (f *frame) send(fd, flags int) (done bool) {
	for len(f.data) > 0 {
		var rights []byte
		if len(f.fds) > 0 {
			rights = unix.UnixRights(f.fds...)
		}
		n, err := unix.SendmsgN(fd, f.data, rights, nil, flags|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil:
			f.free() // the peer is gone, as Recv will tell
			return true
		default:
			f.free()
			f.data = f.data[n:]
		}
	}
	return true
}

// write sends what Send could not send at once.
func (c *Conn) write() {
	for range c.wake {
		for {
			c.mu.Lock()
			if c.closed {
				c.mu.Unlock()
				return // Close frees the rest
			}
			if len(c.queue) == 0 {
				c.queue = nil // let go of what a storm allocated
				c.mu.Unlock()
				break
			}
			f := c.queue[0]
			c.mu.Unlock()
			size := len(f.data)
			f.send(c.fd, 0)
			c.mu.Lock()
			c.queue[0] = frame{}
			c.queue, c.queued = c.queue[1:], c.queued-size
			c.mu.Unlock()
		}
	}
}

// Recv waits for a message. Its descriptors close on exec.
func (c *Conn) Recv() (*Message, error) {
	for {
		if m, err := c.next(); m != nil || err != nil {
			return m, err
		}
		n, oobn, flags, _, err := unix.Recvmsg(c.fd, c.some[:], c.oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("cannot receive: %w", err)
		case n == 0:
			return nil, io.EOF
		}
		c.buf = append(c.buf, c.some[:n]...)
		got, err := rights(c.oob[:oobn])
		if err != nil {
			return nil, err
		}
		c.fds = append(c.fds, got...)
		if flags&unix.MSG_CTRUNC != 0 { // the limit of descriptors is reached
			c.fds = append(c.fds, -1)
		}
	}
}

func rights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("cannot receive descriptors: %v", err)
	}
	for i := range list {
		some, err := unix.ParseUnixRights(&list[i])
		if err != nil {
			return fds, fmt.Errorf("cannot receive descriptors: %v", err)
		}
		fds = append(fds, some...)
	}
	return fds, nil
}

// next takes a whole message out of what has arrived; nil if there is none. The
// kernel gives no bytes beyond a message together with its descriptors, so
// those that are there belong to this one.
func (c *Conn) next() (*Message, error) {
	if len(c.buf) < header {
		return nil, nil
	}
	size, want := int(binary.BigEndian.Uint32(c.buf)), int(c.buf[4])
	if size > MaxFrame || want > MaxFDs {
		return nil, errBroken
	}
	if len(c.buf) < header+size {
		return nil, nil
	}
	m, err := decode(c.buf[header : header+size])
	if err != nil {
		return nil, err
	}
	c.buf = c.buf[header+size:]
	if len(c.buf) == 0 {
		c.buf = nil
	}
	for ; want > 0 && len(c.fds) > 0; want-- {
		if c.fds[0] < 0 {
			c.fds, m.Short = c.fds[1:], true
			break
		}
		m.FDs, c.fds = append(m.FDs, c.fds[0]), c.fds[1:]
	}
	m.Short = m.Short || want > 0
	return m, nil
}

// shut ends the connection for both sides. Under mu.
func (c *Conn) shut() {
	if !c.closed {
		c.closed = true
		unix.Shutdown(c.fd, unix.SHUT_RDWR)
		close(c.wake)
	}
}

// Shut ends the connection: Recv fails, and whoever calls it then calls Close.
func (c *Conn) Shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut()
}

// Close ends the connection and frees all it has. Recv must not be under way.
func (c *Conn) Close() {
	c.Shut()
	c.writer.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.queue {
		c.queue[i].free()
	}
	c.queue = nil
	for _, fd := range c.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	c.fds = nil
	unix.Close(c.fd)
}
