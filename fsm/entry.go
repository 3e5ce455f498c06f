package fsm

// DecodeEntry reads an entry of the log, for those that look at a log from
// outside. Any error means that this build must not go on.
func DecodeEntry(data []byte) (Entry, error) { return decode(data) }
