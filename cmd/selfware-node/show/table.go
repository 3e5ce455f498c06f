package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/selfware/selfware/supervisor"
)

// Style is how to print.
type Style struct {
	// Color writes ANSI colours.
	Color bool
	// Now is what ages are counted to.
	Now time.Time
}

// Colours of words.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(color, text string) string {
	if !s.Color || color == plain || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// colorOf is the colour of a status or a verdict.
func colorOf(word string) string {
	switch word {
	case "running", "alive", "up", "finished", "finish", "shutdown":
		return green
	case "updating", "reverting", "update", "starting", "pending", "backoff", "stopping", "suspect", "draining", "degraded", "restart", "move", "stop", "wait", "scale", "paused", "pause":
		return yellow
	case "halted", "reverted", "failed", "lost", "fail", "escalate":
		return red
	case "stopped", "left", "away":
		return dim
	case "start", "place", "resume", "reset":
		return cyan
	}
	return plain
}

// cell is one field of a table.
type cell struct{ text, color string }

func c(text string) cell           { return cell{text: text} }
func status(text string) cell      { return cell{text, colorOf(text)} }
func num[T int | uint64](n T) cell { return cell{text: fmt.Sprint(n)} }

func pid(n int) cell {
	if n == 0 {
		return c("-")
	}
	return c(strconv.Itoa(n))
}

func orDash(text string) cell {
	if text == "" {
		return c("-")
	}
	return c(text)
}

// table is rows of cells under a head.
type table struct {
	style Style
	head  []string
	rows  [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// print writes the table, two spaces between columns, none at the ends of lines.
// A last column without a text anywhere is left out.
func (t *table) print(w io.Writer, indent string) {
	widths := make([]int, len(t.head))
	used := make([]bool, len(t.head))
	for _, row := range t.rows {
		for i := range row {
			row[i].text = Clean(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
			used[i] = used[i] || row[i].text != ""
		}
	}
	head := make([]cell, len(t.head))
	for i, name := range t.head {
		head[i] = cell{name, bold}
		if !used[i] {
			head[i] = cell{}
		}
		widths[i] = max(widths[i], len(head[i].text))
	}
	for _, row := range append([][]cell{head}, t.rows...) {
		t.row(w, indent, row, widths)
	}
}

func (t *table) row(w io.Writer, indent string, row []cell, widths []int) {
	last := len(row) - 1
	for last > 0 && row[last].text == "" {
		last--
	}
	var b strings.Builder
	b.WriteString(indent)
	for i, f := range row[:last+1] {
		b.WriteString(t.style.paint(f.color, f.text))
		if i < last {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(f.text)+2))
		}
	}
	fmt.Fprintln(w, b.String())
}

// Clean shows control characters as their codes.
func Clean(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// age is how long ago a moment was, roughly.
func (s Style) age(at time.Time) string {
	if at.IsZero() || at.Unix() <= 0 {
		return "-"
	}
	switch d := max(0, s.Now.Sub(at)); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// plural counts things: "1 child", "2 children".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func budget(b supervisor.Budget) string {
	return fmt.Sprintf("%d of %d in %s", b.Used, b.Max, span(b.Period))
}

// span prints 60s as 1m and 90s as 1m30s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
