package node

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// capacity is what the machine has: thousandths of a core, and bytes (the
// container's limit where that is less).
func capacity(s Settings) (cpu, memory int64) {
	cpu, memory = s.CPU, s.Memory
	if cpu == 0 {
		cpu = int64(runtime.NumCPU()) * 1000
	}
	if memory == 0 {
		memory = min(totalMemory(), memoryLimit())
	}
	if memory == math.MaxInt64 {
		memory = 0
	}
	return cpu, memory
}

func totalMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return math.MaxInt64
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if fields := strings.Fields(sc.Text()); len(fields) >= 2 && fields[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return math.MaxInt64
}

func memoryLimit() int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if data, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
				return n
			}
		}
	}
	return math.MaxInt64
}

// advertised finds the IP that others reach this node at, anew at each start:
// a container that comes back has another one.
func (s Settings) advertised() (string, error) {
	if s.Advertise != "" {
		if ip := net.ParseIP(s.Advertise); ip != nil {
			return s.Advertise, nil
		}
		ips, err := net.LookupIP(s.Advertise)
		if err != nil || len(ips) == 0 {
			return "", fmt.Errorf("cannot resolve --advertise %s: %w", s.Advertise, err)
		}
		return ips[0].String(), nil
	}
	if ip := net.ParseIP(s.Bind); !ip.IsUnspecified() {
		return s.Bind, nil
	}
	for _, seed := range s.Seeds {
		// No packet is sent: the kernel only chooses the way to the seed.
		if conn, err := net.Dial("udp", seed); err == nil {
			defer conn.Close()
			return conn.LocalAddr().(*net.UDPAddr).IP.String(), nil
		}
	}
	return firstAddress()
}

func firstAddress() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("cannot find an address to advertise: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("cannot find an address to advertise: this machine has none but loopback; give --advertise")
}
