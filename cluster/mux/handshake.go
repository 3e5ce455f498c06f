package mux

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

const (
	magic     = "selfware/" // then one version character and a newline
	version   = '2'
	magicSize = len(magic) + 2
	nonceSize = 32
	macSize   = sha256.Size
	keySize   = 32
	maxID     = 64 // longest cluster or node id, in bytes
	startSize = 32
)

// Reply codes of the mux. Zero is kept free so that silence is never consent.
const (
	codeAccepted byte = iota + 1
	codeVersion
	codeCluster // detail: the cluster id of the mux
	codeNoService
	codeStale
)

// Labels keep the MAC of one side from being used as that of the other.
const (
	labelMux    = "selfware mux 2 listener"
	labelDialer = "selfware mux 2 dialer"
)

// hello is the first message of the dialer.
type hello struct {
	purpose Purpose
	cluster string
	node    string
	nonce   [nonceSize]byte
	start   Start
	raw     []byte // as it travelled: the first half of the transcript
}

// reply is the answer of the mux.
type reply struct {
	code   byte
	detail string // accepted: the node id of the mux; else see the codes
	nonce  [nonceSize]byte
	start  Start
	mac    [macSize]byte
	raw    []byte // without the MAC: the second half of the transcript
}

func appendMagic(b []byte) []byte { return append(append(b, magic...), version, '\n') }

// checkMagic looks at the first magicSize bytes of a message. Whatever a later
// version changes, it keeps these, so that both sides can name the difference.
func checkMagic(b []byte) error {
	if !bytes.HasPrefix(b, []byte(magic)) || b[magicSize-1] != '\n' {
		return fmt.Errorf("%w: it says %q", ErrNotSelfware, b)
	}
	if got := b[magicSize-2]; got != version {
		return fmt.Errorf("%w: ours is %c, theirs is %q", ErrVersion, version, got)
	}
	return nil
}

func newHello(self Identity, p Purpose) hello {
	h := hello{purpose: p, cluster: self.ClusterID, node: self.NodeID}
	rand.Read(h.nonce[:]) // never fails: crypto/rand ends the process instead
	b := appendMagic(nil)
	b = append(b, byte(p), byte(len(h.cluster)), byte(len(h.node)))
	b = append(b, h.cluster...)
	b = append(b, h.node...)
	h.raw = self.Start.append(append(b, h.nonce[:]...))
	return h
}

// readHello reads one hello and not a byte more. It allocates at most some
// hundred bytes, whatever it is sent.
func readHello(r io.Reader) (hello, error) {
	head := make([]byte, magicSize+3)
	if _, err := io.ReadFull(r, head); err != nil {
		return hello{}, hungUp(err)
	}
	if err := checkMagic(head[:magicSize]); err != nil {
		return hello{}, err
	}
	h := hello{purpose: Purpose(head[magicSize])}
	nc, nn := int(head[magicSize+1]), int(head[magicSize+2])
	if nc == 0 || nc > maxID || nn == 0 || nn > maxID {
		return hello{}, fmt.Errorf("%w: ids of %d and %d bytes", ErrMalformed, nc, nn)
	}
	rest := make([]byte, nc+nn+nonceSize+startSize)
	if _, err := io.ReadFull(r, rest); err != nil {
		return hello{}, hungUp(err)
	}
	h.cluster, h.node = string(rest[:nc]), string(rest[nc:nc+nn])
	copy(h.nonce[:], rest[nc+nn:])
	h.start = readStart(rest[nc+nn+nonceSize:])
	h.raw = append(head, rest...)
	if err := errors.Join(checkID("cluster id", h.cluster), checkID("node id", h.node)); err != nil {
		return hello{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return h, nil
}

// accept is the reply that lets h in, with the proof that we hold the key.
func accept(self Identity, h hello) (rp reply, wire []byte) {
	rp = reply{code: codeAccepted, detail: self.NodeID}
	rand.Read(rp.nonce[:])
	rp.raw = self.Start.append(append(refusal(rp.code, rp.detail), rp.nonce[:]...))
	rp.mac = sign(self.Key, labelMux, h.raw, rp.raw)
	return rp, append(bytes.Clone(rp.raw), rp.mac[:]...)
}

// refusal is a reply that ends the connection. Every reply begins like it.
func refusal(code byte, detail string) []byte {
	b := append(appendMagic(nil), code, byte(len(detail)))
	return append(b, detail...)
}

// readReply reads one reply and not a byte more.
func readReply(r io.Reader) (reply, error) {
	head := make([]byte, magicSize+2)
	n, err := io.ReadFull(r, head)
	if err != nil && n > 0 && !bytes.HasPrefix(head, []byte(magic)[:min(n, len(magic))]) {
		return reply{}, fmt.Errorf("%w: it says %q", ErrNotSelfware, head[:n])
	}
	if err != nil {
		return reply{}, hungUp(err)
	}
	if err := checkMagic(head[:magicSize]); err != nil {
		return reply{}, err
	}
	rp := reply{code: head[magicSize]}
	nd := int(head[magicSize+1])
	if nd > maxID {
		return reply{}, fmt.Errorf("%w: detail of %d bytes", ErrMalformed, nd)
	}
	size := nd
	if rp.code == codeAccepted {
		size += nonceSize + startSize + macSize
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return reply{}, hungUp(err)
	}
	rp.detail = string(rest[:nd])
	if rp.code == codeAccepted {
		copy(rp.nonce[:], rest[nd:])
		rp.start = readStart(rest[nd+nonceSize:])
		copy(rp.mac[:], rest[nd+nonceSize+startSize:])
		rp.raw = append(head, rest[:nd+nonceSize+startSize]...)
	}
	return rp, nil
}

// sign is the MAC of one side over the whole transcript. Each part carries its
// own lengths, so no two transcripts have the same bytes.
func sign(key []byte, label string, parts ...[]byte) (mac [macSize]byte) {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(label))
	for _, p := range parts {
		m.Write(p)
	}
	m.Sum(mac[:0])
	return mac
}

// hungUp turns an early end into ErrHungUp and leaves other errors, such as a
// passed deadline, as they are.
func hungUp(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrHungUp
	}
	return err
}

// checkID accepts 1 to 64 printable ASCII characters without spaces: ids are
// shown in logs and errors as they are.
func checkID(what, id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("%s must have 1 to %d characters, not %d", what, maxID, len(id))
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("%s %q may hold only printable ASCII without spaces", what, id)
		}
	}
	return nil
}
