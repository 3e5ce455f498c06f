package breaker

// Metrics are what a breaker has seen since New, as plain values.
type Metrics struct {
	State State `json:"state"`
	// Failures in a row, Successes of trials and Trials in flight: see Circuit.
	Failures  int `json:"failures"`
	Successes int `json:"successes"`
	Trials    int `json:"trials"`
	// Turns counts all changes of State.
	Turns uint64 `json:"turns"`
	// Calls by the state in which they began, or were refused.
	Closed   Counts `json:"closed"`
	Open     Counts `json:"open"`
	HalfOpen Counts `json:"half_open"`
}

// Counts are calls by their outcome; those in flight are in none.
type Counts struct {
	Success   uint64 `json:"success"`
	Failure   uint64 `json:"failure"`
	Timeout   uint64 `json:"timeout"`
	Panic     uint64 `json:"panic"`
	Abandoned uint64 `json:"abandoned"`
	Refused   uint64 `json:"refused"` // never began: ErrCircuitOpen
}

// Metrics gives the counts up to this moment.
func (b *CircuitBreaker) Metrics() Metrics {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step(Passed{})
	m, c := b.metrics, b.circuit
	m.State, m.Turns, m.Failures, m.Successes, m.Trials = c.State, c.Turn, c.Failures, c.Successes, len(c.Trials)
	return m
}

func (m *Metrics) of(s State) *Counts {
	switch s {
	case Open:
		return &m.Open
	case HalfOpen:
		return &m.HalfOpen
	}
	return &m.Closed
}

func (c *Counts) count(o Outcome) {
	switch o {
	case Success:
		c.Success++
	case Failure:
		c.Failure++
	case Timeout:
		c.Timeout++
	case Panic:
		c.Panic++
	case Abandoned:
		c.Abandoned++
	}
}
