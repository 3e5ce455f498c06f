package lab

// clockFile is the file by which the clock of a node is set wrong.
type clockFile struct{ path string }

func (c *clockFile) env() string { return "SELFWARE_CLOCK=" + c.path }

// Set implements Clock.
func (c *clockFile) Set(ClockFault) error { return nil }

// Reads implements Clock.
func (c *clockFile) Reads() (uint64, error) { return 0, nil }

func (l *procs) clockFlags() ([]string, error) { return nil, nil }

func (l *procs) giveClock(*procNode) error { return nil }

func (l *procs) upgrade() {}
