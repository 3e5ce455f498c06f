package bench

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"io"
	"testing"
	"time"
	"os/exec"
	"github.com/selfware/selfware/gossip"
)

func init() {
	if len(os.Args) > 3 && os.Args[1] == "run" && os.Getenv("SCRATCH") != "" {
		lis, err := net.Listen("unix", os.Args[3]+"/pprof.sock")
		if err == nil {
			go http.Serve(lis, nil)
		}
	}
}

func fetch(m *machine, path, to string) {
	c := exec.Command("curl", "-s", "--unix-socket", m.dir+"/pprof.sock", "http://x/debug/pprof/"+path, "-o", to)
	if out, err := c.CombinedOutput(); err != nil { fmt.Println(err, string(out)) }
}

func TestScratchMem(t *testing.T) {
	if os.Getenv("SCRATCH") != "mem" { t.Skip() }
	l := testLab(t)
	l.log = os.Stderr
	if err := l.fresh(t.Context(), gossip.LAN); err != nil { t.Fatal(err) }
	pause(t.Context(), 3*time.Second)
	rss := func(w string) { for _, m := range l.mine.nodes { v, _ := resident(m.proc.pid()); fmt.Printf("%s %s %.1f MiB\n", w, m.name, v/1024) } }
	rss("idle")
	for i, m := range l.mine.nodes { fetch(m, "heap", fmt.Sprintf("/tmp/benchbin/heap0.%d", i)) }
	rss("idle after heap profile")
	if _, _, err := l.apply(t.Context(), "many", 600); err != nil { t.Fatal(err) }
	if _, err := l.mine.running(t.Context(), "many"); err != nil { t.Fatal(err) }
	pause(t.Context(), 5*time.Second)
	rss("full")
	for i, m := range l.mine.nodes { fetch(m, "heap", fmt.Sprintf("/tmp/benchbin/heap1.%d", i)) }
	for i, m := range l.mine.nodes { fetch(m, "heap?gc=1&debug=1", fmt.Sprintf("/tmp/benchbin/heap2.%d.txt", i)) }
	for i, m := range l.mine.nodes { fetch(m, "goroutine?debug=1", fmt.Sprintf("/tmp/benchbin/gor.%d.txt", i)) }
	rss("full after")
	io.Discard.Write(nil)
}

func TestScratchStorm(t *testing.T) {
	if os.Getenv("SCRATCH") != "storm" { t.Skip() }
	l := testLab(t)
	l.log = os.Stderr
	if err := l.fresh(t.Context(), gossip.LAN); err != nil { t.Fatal(err) }
	for i, m := range l.mine.nodes { go fetch(m, "profile?seconds=12", fmt.Sprintf("/tmp/benchbin/cpu.%d", i)) }
	for range 4 {
		took, paths, err := l.apply(t.Context(), "storm", 500)
		if err != nil { t.Fatal(err) }
		l.mine.running(t.Context(), "storm")
		times, err := l.killBack(t.Context(), paths...)
		if err != nil { t.Fatal(err) }
		s := summarize(inMS(times))
		fmt.Printf("start %v (%.0f/s), back median %.0f p99 %.0f max %.0f\n", took, perSecond(took), s.Median, s.P99, s.Max)
		l.mine.running(t.Context(), "storm")
		l.mine.forget(t.Context(), "storm")
	}
	pause(t.Context(), 8*time.Second)
}
