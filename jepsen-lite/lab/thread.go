package lab

import (
	"os"
	"os/exec"
	"runtime"

	"github.com/selfware/selfware/jepsen-lite/vswitch"
)

// thread is one thread of the kernel that starts all processes of a lab: the
// death signal of a process comes when the thread that forked it ends, so a
// tester that is killed takes its nodes along, and nothing else does.
type thread struct {
	calls chan func()
	home  *vswitch.Namespace // nil without root
}

func newThread() *thread {
	t := &thread{calls: make(chan func())}
	if os.Getuid() == 0 {
		t.home, _ = vswitch.OpenNamespace(os.Getpid())
	}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range t.calls {
			f()
		}
	}()
	return t
}

// start starts a command in a namespace, or where the tester is if ns is nil.
func (t *thread) start(cmd *exec.Cmd, ns *vswitch.Namespace) (err error) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		if ns == nil {
			err = cmd.Start()
			return
		}
		if err = ns.Enter(); err != nil {
			return
		}
		err = cmd.Start()
		if back := t.home.Enter(); back != nil {
			panic(back) // every later process would be in the wrong network
		}
	}
	<-done
	return err
}

// close ends the thread and with it all that it started.
func (t *thread) close() {
	close(t.calls)
	if t.home != nil {
		t.home.Close()
	}
}
