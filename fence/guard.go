package fence

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrStale: the token is of a life that a newer one has followed. Whoever gets this
// must stop, and not try again.
var ErrStale = errors.New("a newer life has taken over")

// StaleError says which tokens were compared. It wraps ErrStale.
type StaleError struct {
	Token, Newest Token
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("refused the token %v: %v, with %v", e.Token, ErrStale, e.Newest)
}

// Unwrap gives ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// Store keeps the greatest token seen, with the data that it protects.
type Store interface {
	// Load gives the token kept; the zero Token if there is none yet.
	Load(ctx context.Context) (Token, error)
	// Swap puts next in the place of old and tells whether it did: it does not if
	// another token is kept by now. What it put there is durable when it returns.
	Swap(ctx context.Context, old, next Token) (bool, error)
}

// Guard refuses tokens that are older than the newest it has seen. It is safe for
// concurrent use; so may be several guards of one store.
type Guard struct{ store Store }

// New gives a guard that remembers in the store.
func New(store Store) *Guard { return &Guard{store: store} }

// Check remembers the token if it is the newest, and returns a *StaleError if it has
// seen a newer one. What a nil allows must be done before anything else can be
// allowed: see the package's text on one step.
func (g *Guard) Check(ctx context.Context, t Token) error {
	for ctx.Err() == nil {
		newest, err := g.store.Load(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("cannot check a fencing token: %w", err)
		case newest.Newer(t):
			return &StaleError{Token: t, Newest: newest}
		case newest == t:
			return nil
		}
		done, err := g.store.Swap(ctx, newest, t)
		if err != nil {
			return fmt.Errorf("cannot remember a fencing token: %w", err)
		}
		if done {
			return nil
		}
		// Another token came in between, so the kept one has grown: this ends.
	}
	return ctx.Err()
}

// Memory is a Store that forgets with the process. The zero value is ready. It does
// for resources that themselves forget, such as a server's open connections.
type Memory struct {
	mu     sync.Mutex
	newest Token
}

// Load is Store's.
func (m *Memory) Load(context.Context) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest, nil
}

// Swap is Store's.
func (m *Memory) Swap(_ context.Context, old, next Token) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.newest != old {
		return false, nil
	}
	m.newest = next
	return true, nil
}
