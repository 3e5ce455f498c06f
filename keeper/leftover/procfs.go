package leftover

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stat is what we use of /proc/PID/stat.
type Stat struct {
	State   byte // R, S, D, Z, ...
	Parent  int
	Group   int
	Session int
	Start   uint64 // clock ticks since boot: with the pid and the boot id it names a process for ever
}

// ReadStat looks at a process. It returns os.ErrNotExist if there is no such process. It runs at each
// start, so it reads with plain system calls and no file object.
func ReadStat(pid int) (Stat, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Stat{}, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if errors.Is(err, unix.ESRCH) {
		return Stat{}, os.ErrNotExist
	}
	if err != nil {
		return Stat{}, err
	}
	return parseStat(buf[:n])
}

func parseStat(line []byte) (Stat, error) {
	// The second field is the program's name in parentheses, which may hold
	// spaces and parentheses itself.
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return Stat{}, fmt.Errorf("cannot read stat line %q", line)
	}
	f := strings.Fields(string(line[end+1:]))
	if len(f) < 20 {
		return Stat{}, fmt.Errorf("cannot read stat line %q: too short", line)
	}
	s := Stat{State: f[0][0]}
	var errs [4]error
	s.Group, errs[0] = strconv.Atoi(f[2])
	s.Session, errs[1] = strconv.Atoi(f[3])
	s.Start, errs[2] = strconv.ParseUint(f[19], 10, 64)
	s.Parent, errs[3] = strconv.Atoi(f[1])
	return s, errors.Join(errs[:]...)
}

// BootID names this boot of this machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// AllPIDs lists the processes of the machine.
func AllPIDs() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// hasEnv says whether pid was started with the entry KEY=VALUE. A process that
// we may not read, or that overwrote its environment, counts as without.
func hasEnv(pid int, entry string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for e := range bytes.SplitSeq(b, []byte{0}) {
		if string(e) == entry {
			return true
		}
	}
	return false
}

// inCgroup says whether pid is in the cgroup whose name ends with token, or below.
func inCgroup(pid int, token string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && bytes.Contains(b, []byte(token+"/"))
}
