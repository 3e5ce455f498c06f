package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procStat is what we use of /proc/PID/stat.
type procStat struct {
	state   byte // R, S, D, Z, ...
	pgrp    int
	session int
	start   uint64 // clock ticks since boot: with the pid and the boot id it names a process for ever
}

// readStat returns os.ErrNotExist if there is no such process. It runs at each
// start, so it reads with plain system calls and no file object.
func readStat(pid int) (procStat, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return procStat{}, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if errors.Is(err, unix.ESRCH) {
		return procStat{}, os.ErrNotExist
	}
	if err != nil {
		return procStat{}, err
	}
	return parseStat(buf[:n])
}

func parseStat(line []byte) (procStat, error) {
	// The second field is the program's name in parentheses, which may hold
	// spaces and parentheses itself.
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("cannot read stat line %q", line)
	}
	f := strings.Fields(string(line[end+1:]))
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("cannot read stat line %q: too short", line)
	}
	s := procStat{state: f[0][0]}
	var errs [3]error
	s.pgrp, errs[0] = strconv.Atoi(f[2])
	s.session, errs[1] = strconv.Atoi(f[3])
	s.start, errs[2] = strconv.ParseUint(f[19], 10, 64)
	return s, errors.Join(errs[:]...)
}

// readBootID names this boot of this machine.
func readBootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// allPIDs lists the processes of the machine.
func allPIDs() ([]int, error) {
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
