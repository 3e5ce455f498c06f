package clock

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestNeverBack: whatever follows on whatever, the monotonic clock only grows,
// by as much as the faults say.
func TestNeverBack(t *testing.T) {
	p, err := Open(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	now, last := int64(1e12), int64(0)
	show := func() int64 {
		s := p.at.slots[0]
		if p.at.slot == 2 {
			s = p.at.slots[1]
		}
		if p.at.slot == 0 {
			return now
		}
		return now + s.mono + shift(s, now)
	}
	p.set(Fault{}, now)
	if p.at.slot != 0 {
		t.Error("a clock that was never wrong is set")
	}
	for i, f := range []Fault{
		{Wall: -time.Hour}, {Rate: 50000}, {Rate: -50000}, {Mono: time.Second, Rate: -50000}, {}, {Rate: 1000000}, {Mono: time.Minute}, {},
	} {
		p.set(f, now)
		for range 10 {
			now += int64(100 * time.Millisecond)
			if at := show(); at <= last {
				t.Errorf("after fault %d the clock went from %d to %d", i, last, at)
			} else {
				last = at
			}
		}
	}
	// 1 s at +5 %, 2 s at -5 %, 1 s at twice the rate, 61 s of jumps, 5 changes of rate.
	want := int64(50*time.Millisecond) - int64(100*time.Millisecond) + int64(time.Second) + int64(61*time.Second) + 5*step
	if ahead := show() - now; ahead != want {
		t.Errorf("the clock is %v ahead, want %v", time.Duration(ahead), time.Duration(want))
	}
}

// TestLayout: the page is what the overlay's source says.
func TestLayout(t *testing.T) {
	if size := unsafe.Sizeof(layout{}); size != 80 || unsafe.Offsetof(layout{}.slots) != 16 {
		t.Errorf("the layout has %d bytes, slots at %d", size, unsafe.Offsetof(layout{}.slots))
	}
}

// watch is a program of a build with the overlay.
type watch struct {
	t    *testing.T
	in   io.Writer
	out  *bufio.Reader
	page *Page
}

func newWatch(t *testing.T) *watch {
	if testing.Short() {
		t.Skip("builds Go's runtime: not in -short")
	}
	_, file, _, _ := runtime.Caller(0)
	folder := filepath.Join(filepath.Dir(file), "testdata", "watch")
	dir := t.TempDir()
	overlay, err := Overlay(dir, folder)
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", overlay, "-o", filepath.Join(dir, "watch"), ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	page, err := Open(filepath.Join(dir, "page"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "watch"))
	cmd.Env = append(os.Environ(), Variable+"="+filepath.Join(dir, "page"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait(); page.Close() })
	return &watch{t, in, bufio.NewReader(out), page}
}

func (w *watch) say(word string) string {
	w.t.Helper()
	fmt.Fprintln(w.in, word)
	line, err := w.out.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return line
}

// read gives what the program's clocks show beyond the true ones: the time of
// day, and the boot time clock; and the monotonic time since it began.
func (w *watch) read() (wall, boot, mono time.Duration) {
	w.t.Helper()
	var gotWall, gotMono, gotBoot int64
	if _, err := fmt.Sscan(w.say("read"), &gotWall, &gotMono, &gotBoot); err != nil {
		w.t.Fatal(err)
	}
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(gotWall - time.Now().UnixNano()), time.Duration(gotBoot - ts.Nano()), time.Duration(gotMono)
}

// near allows for the time that a line takes on a busy machine.
func near(got, want time.Duration) bool { return (got - want).Abs() < 500*time.Millisecond }

// TestOverlay: a program of this Go whose clocks are set wrong while it runs.
func TestOverlay(t *testing.T) {
	w := newWatch(t)
	wall, boot, mono := w.read()
	if !near(wall, 0) || !near(boot, 0) || w.page.Reads() != 0 {
		t.Errorf("before: wall %v, boot %v, %d reads", wall, boot, w.page.Reads())
	}

	w.page.Set(Fault{Wall: -time.Hour})
	wall, boot, mono2 := w.read()
	if !near(wall, -time.Hour) || !near(boot, 0) || mono2 < mono || mono2 > mono+time.Minute {
		t.Errorf("wall an hour back: wall %v, boot %v, since the start %v after %v", wall, boot, mono2, mono)
	}
	if w.page.Reads() == 0 {
		t.Error("no read was counted")
	}

	w.page.Set(Fault{Mono: 10 * time.Second})
	wall, boot, mono = w.read()
	if !near(wall, 0) || !near(boot, 10*time.Second) || !near(mono, mono2+10*time.Second) {
		t.Errorf("10 s ahead: wall %v, boot %v, since the start %v after %v", wall, boot, mono, mono2)
	}
	// A timer of the kernel for a moment that this clock shows fires when it does.
	at := time.Now()
	w.say("timer")
	if took := time.Since(at); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("a timer of 200 ms took %v", took)
	}

	w.page.Set(Fault{})
	wall, boot, _ = w.read()
	if !near(wall, 0) || !near(boot, 10*time.Second) {
		t.Errorf("healed: wall %v, boot %v; the boot time clock must not go back", wall, boot)
	}
	if ahead := w.page.Ahead(); !near(ahead, 10*time.Second) {
		t.Errorf("the page says %v ahead", ahead)
	}
}

// TestRefusesUnknownGo: a place that is not there once is no place to patch.
func TestRefusesUnknownGo(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("x y x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (patch{"a.go", [][2]string{{"x", "z"}}}).apply(root); err == nil {
		t.Error("a text that is there twice was patched")
	}
	if got, err := (patch{"a.go", [][2]string{{"y", "z"}}}).apply(root); err != nil || got != "x z x" {
		t.Errorf("got %q, %v", got, err)
	}
}
