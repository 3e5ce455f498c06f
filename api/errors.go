package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// outcomes say how an error is answered: the first that fits counts.
var outcomes = []struct {
	err    error
	status int
	code   string
	advice string
}{
	{cluster.ErrNotLeader, http.StatusMisdirectedRequest, CodeNoLeader, ""},
	{cluster.ErrUncertain, http.StatusServiceUnavailable, CodeUncertain, "send it again with the same Idempotency-Key"},
	{cluster.ErrStopping, http.StatusServiceUnavailable, CodeUncertain, "send it again with the same Idempotency-Key"},
	{cluster.ErrBusy, http.StatusServiceUnavailable, CodeBusy, "nothing was done; send it again in a moment"},
	{cluster.ErrTooLarge, http.StatusRequestEntityTooLarge, CodeTooLarge, "split the tree into smaller ones"},
	{fsm.ErrUnknownNode, http.StatusNotFound, CodeNotFound, ""},
	{fsm.ErrUnknownTree, http.StatusNotFound, CodeNotFound, ""},
	{fsm.ErrChanged, http.StatusPreconditionFailed, CodeConflict, "read it again and decide anew"},
	{supervisor.ErrUnknown, http.StatusNotFound, CodeNotFound, ""},
	{supervisor.ErrRefused, http.StatusConflict, CodeRefused, ""},
	{supervisor.ErrStale, http.StatusConflict, CodeConflict, "look again and decide anew"},
	{runner.ErrNoLogs, http.StatusNotFound, CodeNotFound, "the child has not run there, or its files are gone"},
	{runner.ErrTooManyFollowers, http.StatusServiceUnavailable, CodeBusy, "end other followers first"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, CodeUncertain, "it took too long; send it again with the same Idempotency-Key"},
	{context.Canceled, http.StatusServiceUnavailable, CodeUncertain, ""},
}

// problem is the one place where errors become answers. Node ids in them become
// names. What is not known is a fault of ours.
func (s *Server) problem(err error) *Problem { return s.problemOr(err, CodeInternal) }

// problemOr says what an error means that is not known.
func (s *Server) problemOr(err error, unknown string) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var mistakes spec.Errors
	if errors.As(err, &mistakes) {
		return badFile(mistakes)
	}
	text := s.names().text(err.Error())
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			if o.advice != "" {
				text += "; " + o.advice
			}
			return newProblem(o.status, o.code, text)
		}
	}
	if unknown == CodeInternal {
		return newProblem(http.StatusInternalServerError, unknown, text)
	}
	return newProblem(http.StatusConflict, unknown, text)
}

// badFile answers a tree file with mistakes.
func badFile(mistakes spec.Errors) *Problem {
	p := newProblem(http.StatusBadRequest, CodeBadRequest, mistakes.Error())
	for _, m := range mistakes {
		p.Errors = append(p.Errors, Mistake{
			Message: m.Msg, Line: m.Line, Column: m.Column, Text: m.Text, Hint: m.Hint, Path: m.Path,
		})
	}
	return p
}

func notFound(format string, args ...any) *Problem {
	return newProblem(http.StatusNotFound, CodeNotFound, fmt.Sprintf(format, args...))
}

func badRequest(format string, args ...any) *Problem {
	return newProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf(format, args...))
}

// writeProblem answers outside of huma.
func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	if p.Code == CodeBusy {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone, or will see it cut short
}

// newHuma makes huma's API over mux. Huma has its errors and its idea of empty
// lists in package variables; no other package of ours uses it.
func newHuma(mux *http.ServeMux, c huma.Config) huma.API { return humago.New(mux, c) }

func init() {
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return ofHuma(status, msg, errs)
	}
}

// ofHuma words what huma found wrong with a request.
func ofHuma(status int, msg string, errs []error) *Problem {
	code := CodeBadRequest
	switch {
	case status == http.StatusRequestEntityTooLarge:
		code = CodeTooLarge
	case status == http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	case status >= 500:
		code = CodeInternal
	}
	p := newProblem(status, code, msg)
	var parts []string
	for _, err := range errs {
		m := Mistake{Message: err.Error()}
		if d, ok := err.(huma.ErrorDetailer); ok {
			m.Message, m.Location = d.ErrorDetail().Message, d.ErrorDetail().Location
		}
		p.Errors = append(p.Errors, m)
		parts = append(parts, strings.TrimSuffix(m.Location+": "+m.Message, ": "))
	}
	if len(parts) > 0 {
		p.Detail += ": " + strings.Join(parts, "; ")
	}
	return p
}
