package supervisor

import "errors"

// verdictError is an error that says what should follow from it.
type verdictError struct {
	verdict Verdict
	err     error // nil if that is all
}

func (e *verdictError) Error() string {
	if e.err == nil {
		return string(e.verdict)
	}
	return e.err.Error()
}

func (e *verdictError) Unwrap() error { return e.err }

// Finish is an error for a component to return that has ended as it should: it is then
// finished, whatever its restart type. err may be nil, or say how it ended.
func Finish(err error) error { return &verdictError{VerdictFinish, err} }

// DoNotRestart is an error for a component to return that another life would not help:
// it has failed and stays down, uncharged, until it is started again or its supervisor
// begins anew. err may be nil.
func DoNotRestart(err error) error { return &verdictError{VerdictFail, err} }

// Escalate is an error for a component to return that its supervisor should give up for
// at once, whatever is left of the budget. err may be nil.
func Escalate(err error) error { return &verdictError{VerdictEscalate, err} }

// wordOf is the verdict that an error carries, however deep it is wrapped; "" if none.
func wordOf(err error) Verdict {
	var v *verdictError
	if errors.As(err, &v) {
		return v.verdict
	}
	return ""
}
