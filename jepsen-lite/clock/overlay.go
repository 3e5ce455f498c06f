package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Variable is the environment variable that names a program's page. Without it
// the page is DefaultPage.
const (
	Variable    = "SELFWARE_CLOCK"
	DefaultPage = "/tmp/selfware-clock"
)

// patch replaces text in a file of GOROOT/src; each old text is there once.
type patch struct {
	file  string
	pairs [][2]string
}

var patches = []patch{
	{"runtime/time_nofake.go", [][2]string{
		{"\treturn nanotime1()\n}", "\treturn labClockMono(nanotime1())\n}"},
	}},
	{"runtime/time.go", [][2]string{
		{"\t\treturn sec, nsec, 0\n\t}\n\treturn time_now()\n}", "\t\treturn sec, nsec, 0\n\t}\n\treturn labClockNow()\n}"},
	}},
	{"syscall/syscall_linux.go", [][2]string{
		{"\tr1, r2, errno = linux.Syscall6(trap, a1, a2, a3, a4, a5, a6)\n",
			"\tlabClockBefore(trap, a2, a3)\n\tr1, r2, errno = linux.Syscall6(trap, a1, a2, a3, a4, a5, a6)\n\tlabClockAfter(trap, a1, a2, a3, errno)\n"},
	}},
}

// runtimePart reads the page. All of it may run on any stack and in any state of
// a goroutine, so it allocates, locks and grows nothing.
const runtimePart = `package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

type labClock struct {
	slot  uint32
	_     uint32
	reads uint64
	slots [2]labClockSlot
}

type labClockSlot struct{ wall, base, mono, rate int64 }

var labClockPage unsafe.Pointer

//go:linkname labClockUse main.labClockUse
func labClockUse(page unsafe.Pointer) { atomic.StorepNoWB(unsafe.Pointer(&labClockPage), page) }

//go:nosplit
func labClockWrong() *labClockSlot {
	c := (*labClock)(atomic.Loadp(unsafe.Pointer(&labClockPage)))
	if c == nil {
		return nil
	}
	switch atomic.Load(&c.slot) {
	case 1:
		atomic.Xadd64(&c.reads, 1)
		return &c.slots[0]
	case 2:
		atomic.Xadd64(&c.reads, 1)
		return &c.slots[1]
	}
	return nil
}

//go:nosplit
func labClockMono(real int64) int64 {
	s := labClockWrong()
	if s == nil {
		return real
	}
	return real + s.mono + (real-s.base)/1000*s.rate/1000
}

func labClockNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = time_now()
	s := labClockWrong()
	if s == nil {
		return sec, nsec, mono
	}
	wall := sec*1000000000 + int64(nsec) + s.wall
	return wall / 1000000000, int32(wall % 1000000000), mono + s.mono + (mono-s.base)/1000*s.rate/1000
}

//go:linkname labClockShift syscall.labClockShift
//go:nosplit
func labClockShift() (wall, mono int64) {
	s := labClockWrong()
	if s == nil {
		return 0, 0
	}
	return s.wall, s.mono + (nanotime1()-s.base)/1000*s.rate/1000
}
`

// syscallPart puts clock_gettime wrong and absolute timers right.
const syscallPart = `package syscall

import "unsafe"

func labClockShift() (wall, mono int64)

const (
	labClockRealtime  = 0
	labClockMonotonic = 1
	labClockRaw       = 4
	labClockBoottime  = 7
	labTimerSettime   = LABTIMERSETTIME
)

//go:nosplit
func labClockAdd(t *[2]int64, d int64) {
	n := t[0]*1000000000 + t[1] + d
	t[0], t[1] = n/1000000000, n%1000000000
}

// labClockBefore takes what is shown too much from the moment of an absolute
// timer. All timers here are of the boot time or monotonic clock.
//
//go:nosplit
func labClockBefore(trap, flags, spec uintptr) { labClockTimer(trap, flags, spec, -1) }

//go:nosplit
func labClockTimer(trap, flags, spec uintptr, sign int64) {
	if trap != labTimerSettime || flags&1 == 0 || spec == 0 {
		return
	}
	value := (*[2]int64)(unsafe.Add(unsafe.Pointer(spec), 16))
	if value[0] == 0 && value[1] == 0 {
		return
	}
	_, mono := labClockShift()
	if n := value[0]*1000000000 + value[1] + sign*mono; n > 0 {
		value[0], value[1] = n/1000000000, n%1000000000
	} else {
		value[0], value[1] = 0, 1
	}
}

// labClockAfter adds to what clock_gettime has read.
//
//go:nosplit
func labClockAfter(trap, clock, out, _ uintptr, errno uintptr) {
	if trap != SYS_CLOCK_GETTIME || errno != 0 {
		return
	}
	wall, mono := labClockShift()
	switch clock {
	case labClockRealtime:
		labClockAdd((*[2]int64)(unsafe.Pointer(out)), wall)
	case labClockMonotonic, labClockRaw, labClockBoottime:
		labClockAdd((*[2]int64)(unsafe.Pointer(out)), mono)
	}
}
`

// mainPart maps the page before anything else of the program's own runs.
const mainPart = `package main

import (
	"os"
	"syscall"
	"unsafe"
)

//go:linkname labClockUse
func labClockUse(page unsafe.Pointer)

var _ = labClockOpen()

func labClockOpen() bool {
	path := os.Getenv("SELFWARE_CLOCK")
	if path == "" {
		path = "/tmp/selfware-clock"
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err == nil {
		err = f.Truncate(4096)
	}
	if err != nil {
		println("cannot open the clock's page:", err.Error())
		os.Exit(1)
	}
	page, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		println("cannot map the clock's page:", err.Error())
		os.Exit(1)
	}
	f.Close()
	labClockUse(unsafe.Pointer(&page[0]))
	return true
}
`

// Overlay writes the overlay for the main package in a folder of source, and
// gives the file to build with: go build -overlay FILE.
func Overlay(dir, mainFolder string) (string, error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find Go: %w", err)
	}
	env := strings.Fields(string(out))
	if len(env) != 3 || env[1] != "linux" || env[2] != "amd64" && env[2] != "arm64" {
		return "", fmt.Errorf("cannot set clocks wrong on %v: only on linux, amd64 or arm64", env)
	}
	root := filepath.Join(env[0], "src")
	replace := make(map[string]string)
	for i, p := range patches {
		text, err := p.apply(root)
		if err != nil {
			return "", err
		}
		name := filepath.Join(dir, fmt.Sprintf("patched%d.go", i))
		replace[filepath.Join(root, p.file)] = name
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("cannot write the overlay: %w", err)
		}
	}
	timer := map[string]string{"amd64": "286", "arm64": "86"}[env[2]] // x/sys has it; syscall has not
	added := map[string]string{
		filepath.Join(root, "runtime", "zz_labclock.go"): runtimePart,
		filepath.Join(root, "syscall", "zz_labclock.go"): strings.Replace(syscallPart, "LABTIMERSETTIME", timer, 1),
		filepath.Join(mainFolder, "aa_labclock.go"):      mainPart,
	}
	i := 0
	for at, text := range added {
		name := filepath.Join(dir, fmt.Sprintf("added%d.go", i))
		i++
		replace[at] = name
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("cannot write the overlay: %w", err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	file := filepath.Join(dir, "overlay.json")
	if err := errors.Join(err, os.WriteFile(file, text, 0o644)); err != nil {
		return "", fmt.Errorf("cannot write the overlay: %w", err)
	}
	return file, nil
}

// apply patches a file, and fails if a place is not there exactly once.
func (p patch) apply(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, p.file))
	if err != nil {
		return "", fmt.Errorf("cannot read Go's source: %w", err)
	}
	text := string(data)
	for _, pair := range p.pairs {
		if n := strings.Count(text, pair[0]); n != 1 {
			return "", fmt.Errorf("cannot patch %s of this Go: %q is there %d times", p.file, pair[0], n)
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	return text, nil
}
