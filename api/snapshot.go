package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"

	"github.com/selfware/selfware/fsm"
)

// MaxSnapshot is the greatest length of a sealed snapshot, in bytes.
const MaxSnapshot = 256 << 20

// A sealed snapshot is: magic, schema (4 bytes, big endian), SHA-256 of the
// rest, the rest.
const (
	// snapshotMagic has line ends that a transfer as text would change.
	snapshotMagic = "SELFWARE-SNAP\r\n\x1a"
	sealSize      = len(snapshotMagic) + 4 + sha256.Size
)

// SealSnapshot puts before a snapshot what OpenSnapshot needs to trust it.
func SealSnapshot(state []byte) []byte {
	sum := sha256.Sum256(state)
	out := make([]byte, 0, sealSize+len(state))
	out = append(out, snapshotMagic...)
	out = binary.BigEndian.AppendUint32(out, fsm.Schema)
	out = append(out, sum[:]...)
	return append(out, state...)
}

// OpenSnapshot checks a sealed snapshot and gives the state in it. The error is
// a *Problem.
func OpenSnapshot(sealed []byte) ([]byte, error) {
	refuse := func(format string, args ...any) ([]byte, error) {
		return nil, newProblem(http.StatusBadRequest, CodeBadRequest, "cannot use the snapshot: "+fmt.Sprintf(format, args...))
	}
	if len(sealed) > MaxSnapshot {
		return nil, newProblem(http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("cannot use the snapshot: it has more than %d MiB", MaxSnapshot>>20))
	}
	if !bytes.HasPrefix(sealed, []byte(snapshotMagic)) || len(sealed) < sealSize {
		return refuse("this is no file that `raft snapshot save` wrote")
	}
	rest := sealed[len(snapshotMagic):]
	if schema := binary.BigEndian.Uint32(rest); schema != fsm.Schema {
		return refuse("it has schema %d, this build reads %d; use the selfware-node that wrote it", schema, fsm.Schema)
	}
	sum, state := rest[4:4+sha256.Size], rest[4+sha256.Size:]
	if have := sha256.Sum256(state); !bytes.Equal(have[:], sum) {
		return refuse("it is damaged or cut short: its SHA-256 differs")
	}
	return state, nil
}
