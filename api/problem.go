package api

import (
	"net/http"
)

// Codes of a Problem. They are stable: programs may depend on them.
const (
	CodeBadRequest  = "bad_request" // what was asked is malformed
	CodeNotFound    = "not_found"   // no such tree, child, node or route
	CodeRefused     = "refused"     // the state does not allow it
	CodeConflict    = "conflict"    // it is out of date
	CodeBusy        = "busy"        // too many requests at once; nothing was tried
	CodeNoLeader    = "no_leader"   // nobody leads for now; nothing was tried
	CodeUncertain   = "uncertain"   // it may or may not have been done
	CodeTooLarge    = "too_large"   // a limit on size
	CodeGone        = "gone"        // that part of the history is forgotten
	CodeForbidden   = "forbidden"   // a request of another web site
	CodeUnreachable = "unreachable" // a node that must answer cannot be reached
	CodeInternal    = "internal"    // a fault of ours
)

// Problem is an error answer: RFC 9457 with a code.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is one of the Code constants.
	Code string `json:"code" enum:"bad_request,not_found,refused,conflict,busy,no_leader,uncertain,too_large,gone,forbidden,unreachable,internal" doc:"What went wrong, for programs"`
	// Detail is what went wrong and what to do, for people.
	Detail string `json:"detail" doc:"What went wrong and what to do, for people"`
	// Errors are the single mistakes of a request or of a tree file.
	Errors []Mistake `json:"errors,omitempty"`
}

// Mistake is one error in a request: in a tree file it has line and column.
type Mistake struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"Where in the request, such as query.limit"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Text     string `json:"text,omitempty" doc:"The offending text"`
	Hint     string `json:"hint,omitempty"`
	Path     string `json:"path,omitempty" doc:"The child that the mistake is in"`
}

// Error is the sentence for people.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders repeats the code where a node that forwards can see it.
func (p *Problem) GetHeaders() http.Header {
	return http.Header{headerCode: {p.Code}}
}

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}
