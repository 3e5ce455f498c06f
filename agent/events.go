package agent

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/health"
)

// maxDetail bounds the words of an event, in bytes.
const maxDetail = 512

// Key names a life in a table of processes: "path@epoch", the epoch in decimal.
func Key(ref supervisor.Ref) string {
	return ref.Path + "@" + strconv.FormatUint(uint64(ref.Epoch), 10)
}

// ParseKey is the reverse of Key; ok is false for what Key never returns.
func ParseKey(key string) (ref supervisor.Ref, ok bool) {
	at := strings.LastIndexByte(key, '@')
	if at < 1 {
		return ref, false
	}
	epoch, err := strconv.ParseUint(key[at+1:], 10, 64)
	return supervisor.Ref{Path: key[:at], Epoch: supervisor.Epoch(epoch)}, err == nil
}

// exitOf says of the end of a life what the leader needs to know.
func exitOf(ref supervisor.Ref, e Event) supervisor.ChildEvent {
	out := supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventExited, PID: e.PID}
	switch {
	case !e.Unwell.IsHealthy():
		// It was stopped, but nobody asked for that: whatever code it ended with, it failed.
		out.Reason, out.Code, out.Signal = supervisor.ExitTimeout, max(0, e.Code), e.Signal
		out.Detail, out.Fatal = "not well: "+e.Unwell.Reason, e.Unwell.Severity == health.Fatal
	case e.Kind == runner.Failed && e.Requested:
		// It did not fail: it was stopped before it could be up.
		out.Reason, out.Detail = supervisor.ExitKilled, e.Err
	case e.Kind == runner.Failed:
		out.Type, out.Detail = supervisor.EventCrashed, e.Err
	case e.Signal != "":
		out.Reason, out.Signal, out.Detail = supervisor.ExitKilled, e.Signal, "killed by "+e.Signal
	case e.Code == 0:
		out.Reason, out.Detail = supervisor.ExitNormal, cmp.Or(e.Err, "exit code 0")
	case e.Err != "":
		out.Reason, out.Code, out.Detail = supervisor.ExitError, e.Code, e.Err
	default:
		out.Reason, out.Code, out.Detail = supervisor.ExitError, e.Code, fmt.Sprintf("exit code %d", e.Code)
	}
	switch {
	case e.Kind != runner.Exited:
	case e.Requested:
		out.Detail += ", on request"
	case e.BeforeUp:
		out.Detail += ", before it was up"
	}
	out.Detail = clip(out.Detail)
	out.Word, out.Because = supervisor.Verdict(clip(e.Word)), clip(e.Because)
	return out
}

// asks tells the leader what a child that runs asks for, unless it is being stopped.
func (a *Agent) asks(ref supervisor.Ref, l *life, e Event) {
	if l.stopping {
		return
	}
	a.out.add(supervisor.ChildEvent{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventAsked, PID: e.PID, Restarts: l.alone.count,
		Word: supervisor.Verdict(clip(e.Word)), Because: clip(e.Because),
	})
}

// refused is the end of a life that could not even be tried.
func refused(ref supervisor.Ref, why string) supervisor.ChildEvent {
	return supervisor.ChildEvent{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventCrashed, Detail: clip(why),
	}
}

// disown is the end of a life that does not run here.
func disown(ref supervisor.Ref, why string) supervisor.ChildEvent {
	return supervisor.ChildEvent{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventExited,
		Reason: supervisor.ExitKilled, Detail: why,
	}
}

// clip makes words fit for a session, whose encoding accepts only UTF-8: what a
// program or the system says may be anything.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxDetail {
		return s
	}
	end := maxDetail
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
