package mux

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Token is what a new node needs to join a cluster. It is a secret: it holds
// the cluster key.
type Token struct {
	ClusterID string
	Key       []byte
}

const (
	tokenPrefix = "sw1-"
	tokenSum    = 4   // bytes of checksum: one typo in 4 billion stays unseen
	maxToken    = 256 // characters; the longest real one has 166
)

// Lower-case base32 survives being read aloud, and a double click selects it whole.
var tokenCoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var errTokenDamaged = errors.New("token is damaged: checksum does not match; copy it whole from `selfware-node token`")

// Encode writes the token as one word, "sw1-" and base32 with a checksum.
func (t Token) Encode() string {
	body := append([]byte{byte(len(t.ClusterID))}, t.ClusterID...)
	body = append(body, t.Key...)
	sum := sha256.Sum256(body)
	return tokenPrefix + tokenCoding.EncodeToString(append(body, sum[:tokenSum]...))
}

// ParseToken reads what Encode wrote. Space around it is ignored. Errors say
// whether it is no token, one of a newer version, or a damaged one, and never
// repeat it.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	word, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return Token{}, noToken(s)
	}
	if len(s) > maxToken {
		return Token{}, fmt.Errorf("token is too long: %d characters", len(s))
	}
	raw, err := tokenCoding.DecodeString(word)
	if err != nil || len(raw) < tokenSum {
		return Token{}, errTokenDamaged
	}
	body, got := raw[:len(raw)-tokenSum], raw[len(raw)-tokenSum:]
	if sum := sha256.Sum256(body); subtle.ConstantTimeCompare(sum[:tokenSum], got) != 1 {
		return Token{}, errTokenDamaged
	}
	if len(body) < 1 || len(body) != 1+int(body[0])+keySize {
		return Token{}, errTokenDamaged
	}
	t := Token{ClusterID: string(body[1 : 1+body[0]]), Key: body[1+body[0]:]}
	// Encode is exact only if no spare bits of the last letter are set: two
	// spellings of one token would be odd, so only the one is taken.
	if checkID("cluster id", t.ClusterID) != nil || t.Encode() != s {
		return Token{}, errTokenDamaged
	}
	return t, nil
}

func noToken(s string) error {
	switch {
	case s == "":
		return errors.New("token is empty: `selfware-node token` prints it")
	case strings.HasPrefix(strings.ToLower(s), tokenPrefix):
		return errTokenDamaged
	case strings.HasPrefix(s, "sw") && strings.IndexByte(s, '-') == 3:
		return fmt.Errorf("token has version %q; this program reads only %q", s[:3], tokenPrefix[:3])
	}
	return fmt.Errorf("not a token: it must begin with %q", tokenPrefix)
}

// String names the cluster and hides the key. Use Encode to show the token.
func (t Token) String() string { return "token of cluster " + t.ClusterID }

// LogValue keeps the key out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
