package runner

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// threads reads the number of threads of this process.
func threads(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nThreads:\t")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFiveHundredChildren(t *testing.T) {
	g := newRig(t, Config{})
	const children = 500
	threadsBefore, goroutinesBefore := threads(t), runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range children {
		g.start(Spec{Key: fmt.Sprint(i), Name: fmt.Sprint("many/", i), Argv: []string{"sleep", "1000"}})
	}
	list := make([]int, children)
	for i := range children {
		list[i] = g.wait(fmt.Sprint(i), Up).PID
	}
	g.seen = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := threads(t) - threadsBefore; n > 20 {
		t.Errorf("%d threads more", n)
	}
	if n := runtime.NumGoroutine() - goroutinesBefore; n > 10 {
		t.Errorf("%d goroutines more", n)
	}
	perChild := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / children
	t.Logf("%d bytes for each child, %d threads", perChild, threads(t))
	if perChild > 32<<10 {
		t.Errorf("%d bytes for each child", perChild)
	}
	for _, pid := range list {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for i := range children {
		if e := g.wait(fmt.Sprint(i), Exited); e.Signal != "SIGKILL" || e.Requested {
			t.Fatalf("got %s", e)
		}
	}
}

// TestFenceOfMany logs how long after its moment the last of many exclusive children
// is dead: that must fit into cluster.Times.Kill.
func TestFenceOfMany(t *testing.T) {
	g := newRig(t, Config{})
	const children = 200
	g.Hold(BootTime() + time.Hour)
	for i := range children {
		g.start(Spec{Key: fmt.Sprint(i), Argv: []string{"sleep", "1000"}, Exclusive: true})
	}
	var list []int
	for i := range children {
		list = append(list, g.wait(fmt.Sprint(i), Up).PID)
	}
	until := BootTime() + 50*time.Millisecond
	g.Hold(until)
	eventually(t, "all are dead", func() bool {
		for len(list) > 0 && !running(list[0]) {
			list = list[1:]
		}
		return len(list) == 0
	})
	late := BootTime() - until
	t.Logf("%d exclusive children are dead %v after their moment", children, late.Round(100*time.Microsecond))
	if late > 2*time.Second { // generous: other tests take the processor meanwhile
		t.Errorf("the last was dead %v after its moment", late)
	}
}

// BenchmarkKillRestart measures from kill to the exec of the next life.
func BenchmarkKillRestart(b *testing.B) {
	b.Run("runner", func(b *testing.B) {
		g := newRig(b, Config{})
		spec := Spec{Argv: []string{"sleep", "1000"}}
		g.start(spec)
		pid := g.wait("c", Up).PID
		for b.Loop() {
			syscall.Kill(pid, syscall.SIGKILL)
			g.wait("c", Exited)
			g.seen = nil
			g.start(spec)
			pid = g.wait("c", Spawned).PID
		}
	})
	b.Run("bare", func(b *testing.B) {
		cmd := bareStart(b, true)
		for b.Loop() {
			cmd.Process.Kill()
			cmd.Wait()
			cmd = bareStart(b, true)
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// bareStart is what os/exec does by itself, with pipes as a supervisor needs
// them or without.
func bareStart(b *testing.B, pipes bool) *exec.Cmd {
	cmd := exec.Command("/usr/bin/sleep", "1000")
	if pipes {
		cmd.Stdout, cmd.Stderr = writer{io.Discard}, writer{io.Discard}
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd
}

// writer is not an *os.File, so os/exec makes a pipe for it.
type writer struct{ io.Writer }

// BenchmarkStart500 starts 500 children and, in its other half, has them all
// killed and started again.
func BenchmarkStart500(b *testing.B) {
	const children = 500
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			g := newRig(b, Config{})
			startMany(g, children)
			b.StopTimer()
			if err := g.stop(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(children*b.N)/b.Elapsed().Seconds(), "starts/s")
	})
	b.Run("restart", func(b *testing.B) {
		g := newRig(b, Config{})
		list := startMany(g, children)
		for b.Loop() {
			for _, pid := range list {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			for back := 0; back < children; {
				switch e := <-g.Events(); e.Kind {
				case Exited:
					g.start(Spec{Key: e.Key, Argv: []string{"sleep", "1000"}})
				case Up:
					list[back] = e.PID
					back++
				}
			}
		}
		b.ReportMetric(float64(children*b.N)/b.Elapsed().Seconds(), "restarts/s")
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			cmds := make([]*exec.Cmd, children)
			for i := range cmds {
				cmds[i] = bareStart(b, false)
			}
			b.StopTimer()
			for _, cmd := range cmds {
				cmd.Process.Kill()
				cmd.Wait()
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(children*b.N)/b.Elapsed().Seconds(), "starts/s")
	})
}

// startMany starts n children and returns their pids when all are up.
func startMany(g *rig, n int) []int {
	for i := range n {
		g.start(Spec{Key: fmt.Sprint(i), Argv: []string{"sleep", "1000"}})
	}
	var list []int
	for len(list) < n {
		if e := <-g.Events(); e.Kind == Up {
			list = append(list, e.PID)
		}
	}
	return list
}
