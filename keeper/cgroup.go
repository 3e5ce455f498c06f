package keeper

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
)

// cgroups are folders of a cgroup v2 tree, one for each life, so that a helper
// that left its process group dies with its leader all the same. None is used
// twice: Linux kills whoever is forked into one that was killed before. One
// goroutine owns them.
type cgroups struct {
	base  string // "" = there are none here
	made  int
	spare string   // made, for the next life
	used  []string // given back, and not removed yet
}

// openCgroups makes a folder below the keeper's own cgroup. Where that cannot be,
// process groups must do. Its name says whose it is.
func openCgroups(token string) *cgroups {
	me, _ := leftover.ReadStat(os.Getpid())
	name := fmt.Sprintf("selfware-%d-%d-%s", os.Getpid(), me.Start, token)
	mount := cgroupMount()
	own, err := os.ReadFile("/proc/self/cgroup")
	if mount == "" || err != nil {
		return &cgroups{}
	}
	for line := range strings.Lines(string(own)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		base := filepath.Join(mount, path, name)
		removeForgotten(filepath.Dir(base))
		if !ok || os.Mkdir(base, 0o755) != nil {
			continue
		}
		if unix.Access(filepath.Join(base, "cgroup.kill"), unix.W_OK) == nil {
			return &cgroups{base: base}
		}
		os.Remove(base) // Linux before 5.14
	}
	return &cgroups{}
}

// removeForgotten removes the folders of keepers that have ended and never came
// back, as far as they are empty.
func removeForgotten(parent string) {
	all, _ := filepath.Glob(filepath.Join(parent, "selfware-*-*-*"))
	for _, base := range all {
		var pid int
		var start uint64
		if n, _ := fmt.Sscanf(filepath.Base(base), "selfware-%d-%d-", &pid, &start); n < 2 {
			continue
		}
		if stat, err := leftover.ReadStat(pid); err != nil || stat.Start != start {
			(&cgroups{base: base}).remove()
		}
	}
}

func cgroupMount() string {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) > 3 && w[2] == "cgroup2" {
			return w[1]
		}
	}
	return ""
}

// take gives an empty cgroup and its open folder; -1 if there is none to be had.
func (g *cgroups) take() (path string, fd int) {
	g.prepare()
	if g.spare == "" {
		return "", -1
	}
	path, g.spare = g.spare, ""
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1
	}
	return path, fd
}

// prepare makes the folder that take will give, so that no start waits for it.
func (g *cgroups) prepare() {
	if g.base == "" || g.spare != "" {
		return
	}
	path := filepath.Join(g.base, strconv.Itoa(g.made))
	g.made++
	if unix.Mkdir(path, 0o755) == nil {
		g.spare = path
	}
}

// give takes back the cgroup of a life that has ended.
func (g *cgroups) give(path string) {
	if path != "" {
		g.used = append(g.used, path)
	}
}

// tidy removes used folders once their last processes are gone, the oldest first,
// some at a time.
func (g *cgroups) tidy() {
	for range min(len(g.used), 8) {
		path := g.used[0]
		g.used = g.used[1:]
		if err := unix.Rmdir(path); err == unix.EBUSY {
			g.used = append(g.used, path)
		}
	}
}

// recall finds the folders again that no life has, after an upgrade.
func (g *cgroups) recall(busy map[string]bool) {
	each, _ := filepath.Glob(filepath.Join(g.base, "[0-9]*"))
	for _, path := range each {
		if !busy[path] {
			g.give(path)
		}
	}
}

// remove removes what is empty. The rest is found by the next keeper.
func (g *cgroups) remove() {
	if g.base == "" {
		return
	}
	each, _ := filepath.Glob(filepath.Join(g.base, "[0-9]*"))
	for _, path := range append(each, g.base) {
		unix.Rmdir(path)
	}
}

// killCgroup kills all that is in a cgroup. It is an order to the kernel, which
// waits for no disk.
func killCgroup(path string) {
	if path == "" {
		return
	}
	fd, err := unix.Open(path+"/cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	unix.Write(fd, []byte("1"))
	unix.Close(fd)
}
