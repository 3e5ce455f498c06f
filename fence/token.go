package fence

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
)

// Names of the variables in a child's environment.
const (
	Env           = "SELFWARE_FENCE"
	EnvEpoch      = "SELFWARE_EPOCH"
	EnvGeneration = "SELFWARE_GENERATION"
)

// Width is the length of a token as text.
const Width = 8 + 1 + 16

// MaxGeneration is the greatest that fits; a cluster never gets there.
const MaxGeneration = 1<<32 - 1

// Token is a life's place among all lives of its child. The zero Token is older than
// every life.
type Token struct {
	Generation uint64
	Epoch      uint64
}

// String is the text that compares as tokens do.
func (t Token) String() string {
	return fmt.Sprintf("%08x-%016x", min(t.Generation, MaxGeneration), t.Epoch)
}

// Parse reads a token's text. It accepts nothing but what String writes, since other
// spellings would not compare as text.
func Parse(s string) (Token, error) {
	bad := func(why string) (Token, error) {
		return Token{}, fmt.Errorf("cannot use %.40q as a fencing token: %s", s, why)
	}
	if len(s) != Width || s[8] != '-' {
		return bad("it is not of the form gggggggg-eeeeeeeeeeeeeeee")
	}
	var raw [12]byte
	if _, err := hex.Decode(raw[:], []byte(s[:8]+s[9:])); err != nil {
		return bad("it is not hexadecimal")
	}
	generation, _ := strconv.ParseUint(s[:8], 16, 32)
	epoch, _ := strconv.ParseUint(s[9:], 16, 64)
	t := Token{generation, epoch}
	if t.String() != s {
		return bad("it has capital letters")
	}
	return t, nil
}

// FromEnv is the token of the life that this process is. Without one it is an error:
// the program was not started by selfware, or by one that is too old.
func FromEnv() (Token, error) {
	s := os.Getenv(Env)
	if s == "" {
		return Token{}, fmt.Errorf("cannot tell which life this is: %s is not set; is the program a child of selfware?", Env)
	}
	return Parse(s)
}

// Compare is -1 if t is of an older life than o, 0 if of the same, +1 if of a newer one.
func (t Token) Compare(o Token) int {
	return cmp.Or(cmp.Compare(t.Generation, o.Generation), cmp.Compare(t.Epoch, o.Epoch))
}

// Newer tells whether t is of a newer life than o.
func (t Token) Newer(o Token) bool { return t.Compare(o) > 0 }

// MarshalText makes tokens texts in JSON and the like.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is Parse.
func (t *Token) UnmarshalText(text []byte) (err error) {
	*t, err = Parse(string(text))
	return err
}
