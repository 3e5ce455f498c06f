package runner

import (
	"slices"
	"strings"

	"github.com/selfware/selfware/keeper/wire"
)

// This file is what a child says should follow from its end, through its NOTIFY_SOCKET:
// X_SELFWARE=VERDICT, or X_SELFWARE=VERDICT: REASON. The last that it said before its end
// goes with its Exited; what it means is decided elsewhere. Only a move that it asks for
// while it runs, and does not say that it is about to end (STOPPING=1), is told at once,
// and once: Asked.

const (
	// wordName is the assignment. sd_notify(3) keeps names that begin with X_ for others.
	wordName = "X_SELFWARE"
	// wordNone takes back what was said before.
	wordNone = "none"
	// wordMove is what a child that runs may ask for.
	wordMove = "move"
	// maxBecause bounds the reason that goes with a word, in bytes.
	maxBecause = 256
	// noticesAtEnd is how many messages of a child that has ended are read.
	noticesAtEnd = 1024
)

// verdicts are the words that there are.
var verdicts = []string{"finish", "fail", wordMove, "escalate", wordNone}

// word is what a child said of its end.
type word struct {
	Verdict string `json:",omitempty"`
	Because string `json:",omitempty"`
}

// parseWord reads the value of X_SELFWARE; false if it is none.
func parseWord(value string) (w word, ok bool) {
	verdict, because := value, ""
	if i := strings.IndexAny(value, ": \t"); i >= 0 {
		verdict, because = value[:i], strings.TrimLeft(value[i:], ": \t")
	}
	if !slices.Contains(verdicts, verdict) {
		return word{}, false
	}
	if verdict == wordNone {
		return word{}, true
	}
	return word{verdict, sane(because, maxBecause)}, true
}

// sane makes words of a program fit to be shown and sent: UTF-8 without control
// characters, of a limited length in bytes.
func sane(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(clip(text, most), "?"))
	return strings.TrimSpace(text)
}

// saysWord: X_SELFWARE=…. Under mu.
func (r *Runner) saysWord(p *life, value string) {
	w, ok := parseWord(value)
	if !ok {
		r.log.Warn("child says what means nothing", "key", p.key, "word", sane(value, maxBecause), "words", verdicts)
		return
	}
	asks := w.Verdict == wordMove && !p.asked && !p.leaving && !p.stopping && !p.reaped
	if w == p.word && !asks {
		return
	}
	p.word, p.asked = w, p.asked || asks
	r.log.Debug("child says what should follow from its end", "key", p.key, "verdict", w.Verdict, "because", w.Because)
	r.send(&wire.Message{Op: wire.Note, Key: p.key, Note: p.note()})
	if asks {
		r.emitAsked(p)
	}
}

func (r *Runner) emitAsked(p *life) {
	r.emit(p, Event{Kind: Asked, Word: p.word.Verdict, Because: p.word.Because})
}

// lastWords hears what p said before its end and nobody has read yet, since it ended at
// once, or since there was no runner. Under mu.
func (r *Runner) lastWords(p *life) {
	for range noticesAtEnd {
		if p.notify < 0 || !r.hear(p) {
			return
		}
	}
}
