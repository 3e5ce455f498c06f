package mux

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// countReader counts what a parser took.
type countReader struct {
	r io.Reader
	n int
}

func (c *countReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// FuzzHandshake: no input makes a parser panic or take more than the longest
// message, and what it accepts is what was sent.
func FuzzHandshake(f *testing.F) {
	h := newHello(ident("node-1"), Session)
	_, wire := accept(ident("server"), h)
	f.Add(h.raw)
	f.Add(wire)
	f.Add(refusal(codeCluster, "other"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("selfware/2\n\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &countReader{r: bytes.NewReader(data)}
		h, err := readHello(in)
		if in.n > magicSize+3+2*maxID+nonceSize {
			t.Errorf("readHello took %d bytes", in.n)
		}
		if err == nil && (!bytes.Equal(h.raw, data[:in.n]) || h.cluster == "" || h.node == "") {
			t.Errorf("readHello made %+v of %q", h, data)
		}
		in = &countReader{r: bytes.NewReader(data)}
		rp, err := readReply(in)
		if in.n > magicSize+2+maxID+nonceSize+macSize {
			t.Errorf("readReply took %d bytes", in.n)
		}
		if err == nil && rp.code == codeAccepted && !bytes.Equal(append(rp.raw, rp.mac[:]...), data[:in.n]) {
			t.Errorf("readReply made %+v of %q", rp, data)
		}
	})
}

// TestTranscript: each part of the handshake changes both proofs.
func TestTranscript(t *testing.T) {
	h := newHello(ident("n"), Raft)
	rp, _ := accept(ident("server"), h)
	seen := map[[macSize]byte]bool{rp.mac: true, sign(testKey, labelDialer, h.raw, rp.raw): true}
	for _, part := range [][]byte{h.raw, rp.raw} {
		for i := range part {
			part[i] ^= 1
			for _, label := range []string{labelMux, labelDialer} {
				mac := sign(testKey, label, h.raw, rp.raw)
				if seen[mac] {
					t.Fatalf("byte %d is not covered", i)
				}
				seen[mac] = true
			}
			part[i] ^= 1
		}
	}
	if mac := sign(testKey, labelMux, h.raw, rp.raw); mac != rp.mac {
		t.Error("the same transcript gives another proof")
	}
}

func TestToken(t *testing.T) {
	tok := Token{ClusterID: "c-4f2a", Key: NewKey()}
	word := tok.Encode()
	got, err := ParseToken(" " + word + "\n")
	if err != nil || got.ClusterID != tok.ClusterID || !bytes.Equal(got.Key, tok.Key) {
		t.Fatalf("got %v, %v", got, err)
	}
	for i := len(tokenPrefix); i < len(word); i++ { // every typo is found
		typo := []byte(word)
		typo[i] = map[bool]byte{true: 'b', false: 'a'}[typo[i] == 'a']
		if _, err := ParseToken(string(typo)); err == nil {
			t.Errorf("typo at %d not found", i)
		}
	}
	for in, want := range map[string]string{
		"":                                "empty",
		"hello":                           "not a token",
		"sw2-abc":                         `version "sw2"`,
		"sw1-":                            "damaged",
		"SW1-ABC":                         "damaged",
		word[:len(word)-1]:                "damaged: checksum does not match; copy it whole",
		word + "a":                        "damaged",
		"sw1-" + strings.Repeat("a", 500): "too long",
		Token{"a b", tok.Key}.Encode():    "damaged",
		Token{"c", tok.Key[:8]}.Encode():  "damaged",
	} {
		_, err := ParseToken(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
		if err != nil && len(in) > 20 && strings.Contains(err.Error(), in) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{"c", testKey}.Encode())
	f.Add("sw1-aaaa")
	f.Fuzz(func(t *testing.T, s string) {
		if tok, err := ParseToken(s); err == nil && tok.Encode() != strings.TrimSpace(s) {
			t.Errorf("%q and %q are the same token", s, tok.Encode())
		}
	})
}
