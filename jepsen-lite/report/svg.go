package report

import (
	"bytes"
	"fmt"
	"html"
	"time"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
)

// Sizes of a picture.
const (
	width  = 1100
	left   = 130
	bottom = 20
	row    = 14
	panel  = 150
)

// scale maps time to the picture's width.
type scale struct{ from, to history.Time }

func scaleOf(in *check.Input) scale {
	return scale{in.Run.Began, max(in.Run.Ended, in.Run.Began+1)}
}

func (s scale) x(t history.Time) float64 {
	t = min(max(t, s.from), s.to)
	return left + float64(t-s.from)/float64(s.to-s.from)*(width-left-10)
}

// frame begins a picture with the faults as bands and an axis of seconds.
func frame(b *bytes.Buffer, in *check.Input, s scale, height int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="10">`+"\n", width, height+bottom)
	for _, f := range in.Faults {
		fmt.Fprintf(b, `<rect x="%.1f" y="0" width="%.1f" height="%d" fill="%s" fill-opacity=".6"><title>%s: %s</title></rect>`+"\n", // two at once show both
			s.x(f.Start), max(s.x(f.End)-s.x(f.Start), 1), height, color(f.Nemesis), f.Nemesis, html.EscapeString(f.What))
	}
	for i, f := range in.Faults {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" font-size="8" fill="#555">%s</text>`+"\n", s.x(f.Start)+2, 8+9*(i%2), f.Nemesis)
	}
	step := max((s.to.Sub(s.from) / 12).Round(time.Second), time.Second)
	for d := time.Duration(0); d <= s.to.Sub(s.from); d += step {
		x := s.x(s.from.Add(d))
		fmt.Fprintf(b, `<line x1="%.1f" y1="0" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d">%v</text>`+"\n", x, x, height, x, height+12, d)
	}
}

// Plot is how requests were answered over time: their rate by outcome above, the
// time that each answer took below, in a logarithmic scale from 1 ms to 10 s.
func Plot(in *check.Input) []byte {
	var b bytes.Buffer
	s := scaleOf(in)
	frame(&b, in, s, 2*panel+10)
	rates(&b, in, s)
	fmt.Fprintf(&b, `<text x="4" y="%d">time of answers</text>`, panel+30)
	for i, label := range []string{"10 s", "1 s", "100 ms", "10 ms", "1 ms"} {
		y := panel + 15 + i*(panel-10)/4
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#eee"/><text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left, y, width-10, y, left-4, y+3, label)
	}
	at, took := in.Latencies()
	for i := range at {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="1.2" fill="#1558b0" fill-opacity=".6"/>`+"\n", s.x(at[i]), panel+15+decades(took[i])*(panel-10)/4)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// decades is how many powers of ten a time is below 10 s, at most 4.
func decades(d time.Duration) float64 {
	n := 0.0
	for limit := 10 * time.Second; n < 4 && d < limit; {
		if next := limit / 10; d < next {
			n, limit = n+1, next
			continue
		}
		return min(4, n+1-float64(d-limit/10)/float64(limit-limit/10))
	}
	return min(4, n)
}

// rates draws the operations of each second by outcome, as lines.
func rates(b *bytes.Buffer, in *check.Input, s scale) {
	ok, failed, unknown := in.Rates(time.Second)
	most := 1
	for i := range ok {
		most = max(most, ok[i], failed[i], unknown[i])
	}
	fmt.Fprintf(b, `<text x="4" y="20">requests a second</text><text x="%d" y="12" text-anchor="end">%d</text>`+"\n", left-4, most)
	for i, line := range []struct {
		name, color string
		n           []int
	}{{"ok", "#00701a", ok}, {"failed", "#c77700", failed}, {"unknown", "#b00020", unknown}} {
		fmt.Fprintf(b, `<text x="4" y="%d" fill="%s">%s</text><polyline fill="none" stroke="%s" stroke-width="1.5" points="`, 40+14*i, line.color, line.name, line.color)
		for at, n := range line.n {
			fmt.Fprintf(b, "%.1f,%.1f ", s.x(s.from.Add(time.Duration(at)*time.Second)), panel-float64(n)/float64(most)*(panel-10))
		}
		b.WriteString(`"/>` + "\n")
	}
}

// lives draws a row for each child and a bar for each life.
func lives(b *bytes.Buffer, in *check.Input) {
	lanes := in.Lanes()
	rows := make(map[string]int)
	for _, l := range lanes {
		if _, ok := rows[l.Child]; !ok {
			rows[l.Child] = len(rows)
		}
	}
	s := scaleOf(in)
	frame(b, in, s, row*len(rows)+6)
	for _, l := range lanes {
		y := 4 + row*rows[l.Child]
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#333" stroke-width=".3"><title>%s on %s, epoch %d</title></rect>`+"\n",
			s.x(l.From), y, max(s.x(l.To)-s.x(l.From), .5), row-4, nodeColor(in, l.Node), html.EscapeString(l.Child), l.Node, l.Epoch)
	}
	for child, i := range rows { // order-free: each has its place
		fmt.Fprintf(b, `<text x="4" y="%d">%s</text>`+"\n", 13+row*i, html.EscapeString(child))
	}
	b.WriteString("</svg>\n")
}

// nodeColor is a color for each node.
func nodeColor(in *check.Input, node string) string {
	for i, n := range in.Run.Nodes {
		if n == node {
			return fmt.Sprintf("hsl(%d 55%% 50%%)", i*360/max(len(in.Run.Nodes), 1))
		}
	}
	return "#888"
}
