package link

// Sum is the hash of a replica's state as it was right after a log entry, which
// was a checksum entry (P9).
type Sum struct {
	Index uint64 `cbor:"1,keyasint"`
	Hash  string `cbor:"2,keyasint"` // SHA-256, hex
	// Form names the encoding that was hashed. Builds whose states differ in form
	// have different hashes of equal states: those say nothing about each other.
	Form string `cbor:"3,keyasint"`
}
