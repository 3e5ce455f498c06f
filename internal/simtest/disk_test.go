package simtest

import (
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/raftstore"
)

// format gives the machine an empty disk.
func (m *machine) format() { m.plug(raftstore.NewMem()) }

// plug gives the machine, which is down, another disk.
func (m *machine) plug(disk *raftstore.Mem) {
	m.s.mu.Lock()
	m.disk = disk
	m.s.mu.Unlock()
	m.disk.OnWrite(m.beforeWrite)
	m.disk.OnStore(func(logs []*raft.Log) { m.s.oracle.stored(m, logs) })
	m.disk.OnTear(func(entries int) int {
		keep := int(m.chance() * float64(entries+1))
		m.s.count(func(c *faultCounts) { c.torn++ })
		return keep
	})
}

// failing names the fault of the machine's disk; empty: none.
func (m *machine) failing() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// breakDisk makes the disk faulty: stall hangs, error fails, once or always, full has
// no room, slow takes its time. It stays so until mendDisk.
func (m *machine) breakDisk(how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == "" {
		m.broken, m.met, m.mend = how, false, make(chan struct{})
	}
}

func (m *machine) mendDisk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != "" {
		m.broken = ""
		close(m.mend)
	}
}

// beforeWrite is asked before every write. A write that a crash interrupts is lost,
// but for what OnTear keeps.
func (m *machine) beforeWrite(string) error {
	m.mu.Lock()
	how, mend, first := m.broken, m.mend, !m.met
	m.met = true
	m.mu.Unlock()
	if how != "" && first {
		m.s.bit(how)
	}
	switch how {
	case "disk-stall":
		m.s.count(func(c *faultCounts) { c.stalled++ })
		<-mend
	case "disk-error":
		return syscall.EIO
	case "disk-full":
		return syscall.ENOSPC
	case "disk-slow":
		time.Sleep(time.Duration(m.chance() * float64(400*time.Millisecond)))
	default:
		if m.s.opt.fsync > 0 {
			time.Sleep(time.Duration(m.chance() * float64(m.s.opt.fsync)))
		}
	}
	return nil
}

// wipe takes a machine that is down its disk. What boots on it then is a new node
// under the old name.
func (m *machine) wipe() {
	s := m.s
	s.mu.Lock()
	s.retired[m.id] = m.disk
	m.wiped++
	m.id += "w"
	m.seq, m.newest, m.refused = 0, 0, time.Time{}
	s.mu.Unlock()
	m.format()
	s.notef("%s has lost its disk and is %s now", m.name, m.id)
	s.count(func(c *faultCounts) { c.wiped++ })
}
