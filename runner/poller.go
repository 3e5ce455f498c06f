package runner

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for many file descriptors with one goroutine and no thread: its
// epoll is itself watched by Go's network poller.
type poller struct {
	fd     int
	file   *os.File
	conn   syscall.RawConn
	events [128]unix.EpollEvent
}

func newPoller(name string) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot create epoll: %v", err)
	}
	// Go watches only descriptors that are marked as non-blocking.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot make epoll non-blocking: %v", err)
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), name)}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, fmt.Errorf("cannot watch epoll: %v", err)
	}
	return p, nil
}

// add watches fd for input until del; its events carry id.
func (p *poller) add(fd int, id uint64) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// del must be called before fd is closed: a child that is being forked holds a
// copy of fd, and while it does the kernel would go on reporting it.
func (p *poller) del(fd int) {
	unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

// wait calls on with the id of each ready descriptor until close.
func (p *poller) wait(on func(id uint64)) {
	for {
		n := 0
		err := p.conn.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), p.events[:], 0)
			return n > 0 || (err != nil && err != unix.EINTR)
		})
		if err != nil {
			return // closed
		}
		for _, ev := range p.events[:max(n, 0)] {
			on(uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32)
		}
	}
}

func (p *poller) close() { p.file.Close() }
