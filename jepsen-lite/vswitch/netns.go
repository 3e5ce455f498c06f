package vswitch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// device is the name of the only device in a namespace beside lo.
const device = "lab0"

// Namespace is a network namespace. It lives while it is open or a process is
// in it.
type Namespace struct{ file *os.File }

// NewNamespace makes a namespace in which only lo is up. It needs root.
func NewNamespace() (*Namespace, error) {
	var ns *Namespace
	err := onLostThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make a network namespace: %w", err)
		}
		f, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			return fmt.Errorf("cannot hold a network namespace: %w", err)
		}
		if err := up("lo", netip.Prefix{}, 0); err != nil {
			f.Close()
			return err
		}
		ns = &Namespace{f}
		return nil
	})
	return ns, err
}

// OpenNamespace opens the namespace that a process is in.
func OpenNamespace(pid int) (*Namespace, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, fmt.Errorf("cannot open the network namespace of pid %d: %w", pid, err)
	}
	return &Namespace{f}, nil
}

// Enter moves the calling thread into the namespace. The caller has locked it.
func (n *Namespace) Enter() error {
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter the network namespace: %w", err)
	}
	return nil
}

// Do calls f on a thread in the namespace, which ends with it: f must not start
// processes that are to be told of the death of their parent's thread.
func (n *Namespace) Do(f func() error) error {
	return onLostThread(func() error {
		if err := n.Enter(); err != nil {
			return err
		}
		return f()
	})
}

// Dial connects from within the namespace, by number.
func (n *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	doErr := n.Do(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, doErr
}

// Tun makes the namespace's device with its address and opens it.
func (n *Namespace) Tun(addr netip.Prefix, mtu int) (Device, error) {
	var dev *os.File
	err := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot open /dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq(device)
		if err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err == nil {
			err = up(device, addr, mtu)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("cannot make a TUN device: %w", err)
		}
		dev = os.NewFile(uintptr(fd), "tun")
		return nil
	})
	if err != nil {
		return nil, err
	}
	return dev, nil
}

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// up gives a device of the thread's namespace its address, and turns it on.
func up(name string, addr netip.Prefix, mtu int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot set up %s: %w", name, err)
	}
	defer unix.Close(fd)
	set := func(what uint, fill func(*unix.Ifreq) error) {
		var req *unix.Ifreq
		if err == nil {
			req, err = unix.NewIfreq(name)
		}
		if err == nil {
			err = fill(req)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, what, req)
		}
	}
	if addr.IsValid() {
		ip := addr.Addr().As4()
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.CIDRMask(addr.Bits(), 32)) })
		set(unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(mtu)); return nil })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	if err != nil {
		return fmt.Errorf("cannot set up %s: %w", name, err)
	}
	return nil
}

// onLostThread calls f on a thread of its own that ends with it, so that
// whatever f does to the thread concerns nobody else.
func onLostThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime ends the thread
		done <- f()
	}()
	return <-done
}
