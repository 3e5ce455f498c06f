// Command watch prints what its clocks show each time that it reads a line.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

var began = time.Now()

// boot reads CLOCK_BOOTTIME as golang.org/x/sys does.
func boot() int64 {
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 7, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// timer sets a timerfd of CLOCK_BOOTTIME for a moment that the clock shows, and
// waits for it.
func timer(after time.Duration) {
	timerfdCreate, timerfdSettime := uintptr(283), uintptr(286)
	if runtime.GOARCH == "arm64" {
		timerfdCreate, timerfdSettime = 85, 86
	}
	fd, _, _ := syscall.Syscall(timerfdCreate, 7, 0, 0)
	defer syscall.Close(int(fd))
	at := boot() + int64(after)
	spec := [4]int64{0, 0, at / 1e9, at % 1e9}
	syscall.Syscall6(timerfdSettime, fd, 1, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	var buf [8]byte
	syscall.Read(int(fd), buf[:])
}

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "timer" {
			timer(200 * time.Millisecond)
			fmt.Println("fired")
			continue
		}
		fmt.Println(time.Now().UnixNano(), int64(time.Since(began)), boot())
	}
}
