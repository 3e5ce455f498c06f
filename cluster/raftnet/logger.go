package raftnet

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// LevelTrace is the slog level of hclog's Trace, below Debug.
const LevelTrace = slog.LevelDebug - 4

// Logger lets libraries that log through hclog write to a slog.Logger. Levels
// and With are kept; the name that Named builds is the attribute "from". The
// slog handler alone decides what is enabled: SetLevel does nothing. Nil
// discards everything.
func Logger(l *slog.Logger) hclog.Logger {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &logger{out: l}
}

type logger struct {
	out     *slog.Logger
	name    string
	implied []any
}

var _ hclog.Logger = (*logger)(nil)

func (l *logger) Log(level hclog.Level, msg string, args ...any) {
	sl, ok := slogLevel(level)
	if !ok || !l.out.Enabled(context.Background(), sl) {
		return
	}
	if l.name != "" {
		args = append([]any{"from", l.name}, args...)
	}
	l.out.Log(context.Background(), sl, msg, plain(args)...)
}

func (l *logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *logger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *logger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *logger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *logger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *logger) IsError() bool { return l.enabled(hclog.Error) }

func (l *logger) ImpliedArgs() []any { return l.implied }
func (l *logger) Name() string       { return l.name }

func (l *logger) With(args ...any) hclog.Logger {
	n := *l
	n.out = l.out.With(plain(args)...)
	n.implied = append(l.implied[:len(l.implied):len(l.implied)], args...)
	return &n
}

func (l *logger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

func (l *logger) ResetNamed(name string) hclog.Logger {
	n := *l
	n.name = name
	return &n
}

func (l *logger) SetLevel(hclog.Level) {}

// GetLevel is the lowest level that is written.
func (l *logger) GetLevel() hclog.Level {
	for level := hclog.Trace; level <= hclog.Error; level++ {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Off
}

func (l *logger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter turns each line into one message, of level Info unless opts
// forces another.
func (l *logger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	level := hclog.Info
	if opts != nil && opts.ForceLevel != hclog.NoLevel {
		level = opts.ForceLevel
	}
	return lineWriter{l, level}
}

func (l *logger) enabled(level hclog.Level) bool {
	sl, ok := slogLevel(level)
	return ok && l.out.Enabled(context.Background(), sl)
}

type lineWriter struct {
	l     *logger
	level hclog.Level
}

func (w lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for n > 0 && b[n-1] == '\n' {
		n--
	}
	w.l.Log(w.level, string(b[:n]))
	return len(b), nil
}

func slogLevel(level hclog.Level) (sl slog.Level, ok bool) {
	switch level {
	case hclog.Trace:
		return LevelTrace, true
	case hclog.Debug:
		return slog.LevelDebug, true
	case hclog.Info, hclog.NoLevel:
		return slog.LevelInfo, true
	case hclog.Warn:
		return slog.LevelWarn, true
	case hclog.Error:
		return slog.LevelError, true
	}
	return 0, false
}

// plain formats the values that hclog formats late, in a copy.
func plain(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case hclog.Format:
			format, _ := a[0].(string) // hclog.Fmt always puts one there
			out[i] = fmt.Sprintf(format, a[1:]...)
		case hclog.Hex:
			out[i] = fmt.Sprintf("0x%x", int(a))
		case hclog.Octal:
			out[i] = fmt.Sprintf("0%o", int(a))
		case hclog.Binary:
			out[i] = fmt.Sprintf("0b%b", int(a))
		case hclog.Quote:
			out[i] = fmt.Sprintf("%q", string(a))
		default:
			out[i] = a
		}
	}
	return out
}
