package gossip

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	logLines  = 50               // lines of memberlist per window; a neighbour with another key costs one per packet
	logWindow = 10 * time.Second // length of a window
)

// logBridge turns memberlist's lines into slog records of the level that each line's prefix names.
type logBridge struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time // start of the window
	lines   int       // passed in it
	dropped int       // not passed in it
}

func newMemberlistLogger(l *slog.Logger) *log.Logger {
	return log.New(&logBridge{log: l}, "", 0)
}

// Write takes one line, as package log promises.
func (b *logBridge) Write(line []byte) (int, error) {
	level, text := parseLine(string(line))
	if !b.log.Enabled(context.Background(), level) {
		return len(line), nil
	}
	pass, dropped := b.admit(time.Now())
	if dropped > 0 {
		b.log.Warn("gossip: log lines left out", "lines", dropped, "window", logWindow)
	}
	if pass {
		b.log.Log(context.Background(), level, text)
	}
	return len(line), nil
}

// admit counts a line, and at a new window tells how many the last one dropped.
func (b *logBridge) admit(now time.Time) (pass bool, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.since) >= logWindow {
		dropped = b.dropped
		b.since, b.lines, b.dropped = now, 0, 0
	}
	if b.lines >= logLines {
		b.dropped++
		return false, dropped
	}
	b.lines++
	return true, dropped
}

// parseLine splits "[WARN] memberlist: text" into level and "gossip: text".
func parseLine(line string) (slog.Level, string) {
	level := slog.LevelInfo
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if word, text, ok := strings.Cut(rest, "]"); ok {
			line = strings.TrimSpace(text)
			switch word {
			case "DEBUG":
				level = slog.LevelDebug
			case "WARN":
				level = slog.LevelWarn
			case "ERR", "ERROR":
				level = slog.LevelError
			}
		}
	}
	return level, "gossip: " + strings.TrimPrefix(line, "memberlist: ")
}
