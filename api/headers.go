package api

import "time"

// Headers of the API.
const (
	// HeaderIndex is the log index that an answer is of, or is at least of.
	HeaderIndex = "X-Selfware-Index"
	// HeaderBy says who asks, for the record of decisions; "api" if absent.
	HeaderBy = "X-Selfware-By"
	// HeaderKey is the id of a write: one write is done per id and request, however
	// often it is sent. A node makes one for a request without.
	HeaderKey = "Idempotency-Key"
	// HeaderNode is the name of the node that a log is of.
	HeaderNode = "X-Selfware-Node"

	// headerCode is the code of a Problem.
	headerCode = "X-Selfware-Code"
)

// Headers between nodes. They count on the cluster port only, whose peers have
// proven who they are, and are dropped from what comes in elsewhere.
const (
	// headerForwarded is the id of the node that forwards: never forward again.
	headerForwarded = "X-Selfware-Forwarded"
	// headerHere asks for the log that this very node holds.
	headerHere = "X-Selfware-Here"
	// headerGoID and headerGoAddr tell who holds the log that was asked for.
	headerGoID   = "X-Selfware-Go-Id"
	headerGoAddr = "X-Selfware-Go-Addr"
)

// KeepAlive is how often a stream that has nothing to say shows that it lives.
const KeepAlive = 15 * time.Second
