package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Limits of a message. Linux lets no program have more than 2 MiB of arguments and
// environment, unless its stack is larger than usual.
const (
	MaxFrame = 8 << 20
	MaxKey   = 4 << 10
	MaxNote  = 256 << 10
	MaxFDs   = 8
	maxWords = 1 << 16
)

// Op says what a message is about.
type Op uint8

// What an agent says to its keeper. Each is about the life Key, unless it says
// otherwise.
const (
	// Attach is an agent's first word; the answer is Welcome, a Life for each that
	// the keeper has, a Stored for each descriptor, and Attached.
	Attach Op = iota + 1
	// Sweep has what an earlier keeper left behind killed; the answer is Swept.
	Sweep
	// Running says that the node has begun its work.
	Running
	// Spawn begins a life: Spec, Exclusive, Note. The answer is Spawned or Failed.
	Spawn
	// Signal sends Number to the process group and replaces Note, if there is one.
	Signal
	// Note replaces the note that is kept with the life.
	Note
	// Forget drops a life that has ended.
	Forget
	// Hold lets exclusive lives run until Number, of CLOCK_BOOTTIME in nanoseconds.
	Hold
	// Store keeps a descriptor under Key, in place of an earlier one; without a
	// descriptor, it only drops that.
	Store
	// LastWord says in Note, for people, why the agent is about to end.
	LastWord
)

// What a keeper says to its agent.
const (
	// Welcome: PID is the keeper's, Key what all children carry in their environment.
	Welcome Op = iota + 64
	// Life is one the keeper has: PID, Start, Number (when it was born, of
	// CLOCK_BOOTTIME), Note, and the descriptors kept with it. Its Exited follows.
	Life
	// Stored is a descriptor that an agent stored under Key.
	Stored
	// Attached ends the answer to Attach.
	Attached
	// Swept: Number processes were killed.
	Swept
	// Spawned: PID and Start are those of the new process.
	Spawned
	// Failed: Number is the error of fork or exec. Fenced: it is exclusive, and may
	// not begin now.
	Failed
	// Exited: Number is the wait status. It is said again to each agent until one
	// says Forget. Fenced: its end was the keeper's doing, since its time was over.
	Exited
	// Unsent: the signal could not be sent; Number is the error.
	Unsent
	// Yield asks the agent to end and leave the children as they are.
	Yield
)

// Message is one message in either direction.
type Message struct {
	Op        Op
	Exclusive bool
	Fenced    bool
	Key       string
	PID       int
	Start     uint64
	Number    int64
	Note      []byte
	Spec      *Spec
	// FDs go with it. Whoever receives a message owns them; Send closes them, unless
	// Lent.
	FDs  []int
	Lent bool
	// Short: it was sent with more descriptors than there was room for.
	Short bool
}

// Spec is what to fork.
type Spec struct {
	Path, Dir string
	Argv, Env []string
	Umask     int // -1 = as it is
	Cred      *syscall.Credential
	// Files are the descriptors of the child by number: places in Message.FDs, or
	// -1 for /dev/null. The rest of FDs, from Keep on, stay with the keeper for as
	// long as it has the life.
	Files []int
	Keep  int
}

var errBroken = errors.New("cannot read a message: it is broken")

// check says which limit m exceeds.
func (m *Message) check() error {
	switch {
	case len(m.Key) > MaxKey:
		return fmt.Errorf("cannot send a message: its key has %d bytes, %d at most", len(m.Key), MaxKey)
	case len(m.Note) > MaxNote:
		return fmt.Errorf("cannot send a message: its note has %d bytes, %d at most", len(m.Note), MaxNote)
	case len(m.FDs) > MaxFDs:
		return fmt.Errorf("cannot send a message: it has %d descriptors, %d at most", len(m.FDs), MaxFDs)
	}
	return nil
}

// header is what stands before each body: its length, and how many descriptors
// come with it.
const header = 5

// encode gives the whole frame.
func (m *Message) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b := make([]byte, header, 256)
	flags := byte(0)
	for i, set := range []bool{m.Exclusive, m.Fenced, m.Spec != nil} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, byte(m.Op), flags)
	b = appendText(b, m.Key)
	b = binary.AppendVarint(b, int64(m.PID))
	b = binary.AppendUvarint(b, m.Start)
	b = binary.AppendVarint(b, m.Number)
	b = appendText(b, string(m.Note))
	if m.Spec != nil {
		b = m.Spec.append(b)
	}
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("cannot send a message of %d bytes: %w", len(b), syscall.E2BIG)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-header))
	b[4] = byte(len(m.FDs))
	return b, nil
}

func (s *Spec) append(b []byte) []byte {
	b = appendText(appendText(b, s.Path), s.Dir)
	for _, list := range [][]string{s.Argv, s.Env} {
		b = binary.AppendVarint(b, int64(len(list)))
		for _, word := range list {
			b = appendText(b, word)
		}
	}
	numbers := []int{s.Umask, s.Keep, len(s.Files)}
	numbers = append(numbers, s.Files...)
	if c := s.Cred; c != nil {
		numbers = append(numbers, int(c.Uid), int(c.Gid))
		for _, g := range c.Groups {
			numbers = append(numbers, int(g))
		}
	}
	for _, n := range numbers {
		b = binary.AppendVarint(b, int64(n))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes a body apart. After the first fault it gives zeros, and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) unsigned() uint64 {
	n, size := binary.Uvarint(r.b)
	return n * uint64(r.skip(size))
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.b)
	return n * int64(r.skip(size))
}

// skip returns 1, or 0 for a number that is broken.
func (r *reader) skip(size int) int {
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return 1
}

func (r *reader) text() string {
	n := r.unsigned()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) words() []string {
	n := r.number()
	if n < 0 || n > maxWords || n > int64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}

// decode reads a body.
func decode(body []byte) (*Message, error) {
	r := reader{b: body}
	m := &Message{Op: Op(r.byte())}
	flags := r.byte()
	m.Exclusive, m.Fenced = flags&1 != 0, flags&2 != 0
	m.Key = r.text()
	m.PID = int(r.number())
	m.Start, m.Number = r.unsigned(), r.number()
	if note := r.text(); note != "" {
		m.Note = []byte(note)
	}
	if flags&4 != 0 {
		m.Spec = r.spec()
	}
	if r.bad || len(r.b) > 0 || m.check() != nil {
		return nil, errBroken
	}
	return m, nil
}

func (r *reader) spec() *Spec {
	s := &Spec{Path: r.text(), Dir: r.text(), Argv: r.words(), Env: r.words()}
	s.Umask, s.Keep = int(r.number()), int(r.number())
	n := r.number()
	if n < 0 || n > MaxFDs {
		r.bad = true
		return s
	}
	for range n {
		s.Files = append(s.Files, int(r.number()))
	}
	if len(r.b) == 0 {
		return s
	}
	s.Cred = &syscall.Credential{Uid: uint32(r.number()), Gid: uint32(r.number())}
	for len(r.b) > 0 && !r.bad {
		s.Cred.Groups = append(s.Cred.Groups, uint32(r.number()))
	}
	return s
}

// Check says whether the descriptors of a Spawn are there and named rightly.
func (m *Message) Check() bool {
	s := m.Spec
	if s == nil || len(s.Argv) == 0 || s.Keep < 0 || s.Keep > len(m.FDs) {
		return false
	}
	for _, at := range s.Files {
		if at < -1 || at >= s.Keep {
			return false
		}
	}
	return true
}
