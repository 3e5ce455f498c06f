package fence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var tokens = rapid.Custom(func(rt *rapid.T) Token {
	return Token{rapid.Uint64Range(0, MaxGeneration).Draw(rt, "generation"), rapid.Uint64().Draw(rt, "epoch")}
})

// TestText: tokens as text are of one width, read back as they were, and in the order
// of the tokens, so that a database can compare them.
func TestText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := tokens.Draw(rt, "a"), tokens.Draw(rt, "b")
		if rapid.Bool().Draw(rt, "same generation") {
			b.Generation = a.Generation
		}
		if cmp.Compare(a.String(), b.String()) != a.Compare(b) || a.Newer(b) != (a.Compare(b) > 0) || len(a.String()) != Width {
			rt.Fatalf("%v and %v", a, b)
		}
		if back, err := Parse(a.String()); err != nil || back != a {
			rt.Fatalf("%v became %v (%v)", a, back, err)
		}
		var back Token
		if data, err := json.Marshal(a); err != nil || json.Unmarshal(data, &back) != nil || back != a {
			rt.Fatalf("%v became %v by way of %s", a, back, data)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	good := Token{1, 0x2a0003}.String()
	if good != "00000001-00000000002a0003" {
		t.Fatalf("the text is %s", good)
	}
	for _, s := range []string{
		"", "1-2", good + " ", good[1:], "0" + good, strings.ToUpper(good), strings.Replace(good, "-", "_", 1),
		"0000000g-00000000002a0003", "+0000001-00000000002a0003", "00000001-0x00000000002a00", strings.Repeat("-", Width),
	} {
		if tok, err := Parse(s); err == nil {
			t.Errorf("%q was taken for %v", s, tok)
		}
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv(Env, "")
	if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), "child of selfware") {
		t.Errorf("without a token: %v", err)
	}
	t.Setenv(Env, "00000002-0000000000010000")
	if tok, err := FromEnv(); err != nil || tok != (Token{2, 1 << 16}) {
		t.Errorf("%v %v", tok, err)
	}
}

// stores gives one of each kind, empty.
func stores(t *testing.T) map[string]Store {
	return map[string]Store{"memory": new(Memory), "file": NewFile(filepath.Join(t.TempDir(), "fence"))}
}

func TestGuard(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx, g := t.Context(), New(store)
			for _, c := range []struct {
				token   Token
				refused bool
			}{
				{Token{1, 5}, false}, {Token{1, 5}, false}, {Token{1, 4}, true}, {Token{1, 9}, false},
				{Token{2, 1}, false}, {Token{1, 10}, true}, {Token{}, true}, {Token{2, 1}, false},
			} {
				err := New(store).Check(ctx, c.token) // as another process would
				var stale *StaleError
				if errors.Is(err, ErrStale) != c.refused || errors.As(err, &stale) != c.refused || !c.refused && err != nil {
					t.Errorf("%v: %v", c.token, err)
				}
				if c.refused && (stale.Token != c.token || !stale.Newest.Newer(c.token)) {
					t.Errorf("the error is %+v", stale)
				}
			}
			over, cancel := context.WithCancel(ctx)
			cancel()
			if err := g.Check(over, Token{9, 9}); !errors.Is(err, context.Canceled) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// TestGuardsRace: many guards of one store at once. The greatest token is kept in the
// end, and is never refused.
func TestGuardsRace(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			const many = 16
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() {
					err := New(store).Check(t.Context(), Token{1, uint64(i)})
					if err != nil && (i == many-1 || !errors.Is(err, ErrStale)) {
						t.Errorf("%d: %v", i, err)
					}
				})
			}
			wg.Wait()
			if kept, err := store.Load(t.Context()); err != nil || kept != (Token{1, many - 1}) {
				t.Errorf("kept is %v (%v)", kept, err)
			}
		})
	}
}

// TestDoIsOneStep: acts never overlap, and never go back to an older life.
func TestDoIsOneStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fence")
	var acts []uint64 // guarded by nothing but Do
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			err := NewFile(path).Do(t.Context(), Token{1, uint64(i)}, func() error {
				acts = append(acts, uint64(i))
				return nil
			})
			if err != nil && !errors.Is(err, ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(acts) == 0 || acts[len(acts)-1] != 11 || !slices.IsSorted(acts) {
		t.Errorf("acts in the order %v", acts)
	}
}

// TestDoWaitsForTheHolder: a newer life waits for an older one that is in the middle
// of its act, and gives up only with its context.
func TestDoWaitsForTheHolder(t *testing.T) {
	f := NewFile(filepath.Join(t.TempDir(), "fence"))
	in, out, done := make(chan bool), make(chan bool), make(chan error, 1)
	go func() {
		done <- f.Do(context.Background(), Token{1, 1}, func() error { in <- true; <-out; return nil })
	}()
	<-in
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockPause)
	defer cancel()
	if err := f.Do(ctx, Token{1, 2}, func() error { t.Error("two at once"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is held: %v", err)
	}
	close(out)
	if err := <-done; err != nil {
		t.Error(err)
	}
	wrong := errors.New("no")
	if err := f.Do(t.Context(), Token{1, 2}, func() error { return wrong }); err != wrong {
		t.Errorf("the act's error became %v", err)
	}
	if err := f.Do(t.Context(), Token{1, 1}, func() error { t.Error("an old life acts"); return nil }); !errors.Is(err, ErrStale) {
		t.Errorf("the old life: %v", err)
	}
}

// TestSpoiltFile: what is no token is an error and never the zero Token, which
// everyone is newer than. What a crash left beside the file is overwritten.
func TestSpoiltFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fence")
	f := NewFile(path)
	for _, spoilt := range []string{"", "\n", "00000001-00000000002a0003x\n", "00000001-0000"} {
		if err := os.WriteFile(path, []byte(spoilt), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := New(f).Check(t.Context(), Token{9, 9}); err == nil || errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "spoilt") {
			t.Errorf("%q: %v", spoilt, err)
		}
		if err := f.Do(t.Context(), Token{9, 9}, func() error { t.Error("acted"); return nil }); err == nil {
			t.Errorf("%q was taken", spoilt)
		}
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path+".new", []byte("00000009-half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := New(f).Check(t.Context(), Token{1, 1}); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "00000001-0000000000000001\n" {
		t.Errorf("the file holds %q", data)
	}
	missing := NewFile(filepath.Join(t.TempDir(), "no", "fence"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := New(missing).Check(ctx, Token{1, 1}); err == nil {
		t.Error("a folder that is missing is no error")
	}
}
