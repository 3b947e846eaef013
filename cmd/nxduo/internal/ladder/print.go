package ladder

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printer writes rows as text, without anything that only a terminal
// understands.
type Printer struct {
	w       io.Writer
	column  int // width of one side
	printed int // rows
}

// Widths of the fixed parts of a line: time, arrow, bytes, segments.
const (
	fixed    = 8 + 2 + 5 + 8 + 13
	narrow   = 22
	standard = 40
)

// NewPrinter makes a printer for lines of the width; zero: of its choice.
func NewPrinter(w io.Writer, width int) *Printer {
	p := &Printer{w: w, column: standard}
	if width > 0 {
		p.column = min(standard, max(narrow, (width-fixed)/2))
	}
	return p
}

// Head writes the line above the ladder.
func (p *Printer) Head(client, server string) {
	p.line("ms", clip(client, p.column), "", clip(server, p.column), "bytes", "segments")
}

// Print writes the rows that have not been written yet, but the last hold ones:
// those may still grow.
func (p *Printer) Print(rows []Row, hold int) {
	for ; p.printed < len(rows)-hold; p.printed++ {
		p.row(rows[p.printed])
	}
}

func (p *Printer) row(r Row) {
	var lines []string
	for i, l := range r.Lines {
		lines = append(lines, wrap(printable(r.code(i)+l), p.column)...)
	}
	arrow := "-->"
	if r.From == Server {
		arrow = "<--"
	}
	if r.Detail {
		arrow = strings.Replace(arrow, "--", "..", 1)
	}
	at := fmt.Sprintf("%.2f", float64(r.At.Microseconds())/1000)
	bytes, segments := "", ""
	if r.Bytes > 0 {
		bytes = fmt.Sprint(r.Bytes)
	}
	if !r.Detail {
		segments = fmt.Sprint(r.Segments)
		if r.Again > 0 {
			segments = fmt.Sprintf("%d, %d again", r.Segments, r.Again)
		}
	}
	for _, l := range lines {
		left, right := l, ""
		if r.From == Server {
			left, right = "", l
		}
		p.line(at, left, arrow, right, bytes, segments)
		at, arrow, bytes, segments = "", "", "", ""
	}
}

// code is what stands before line i of a reply on the wire.
func (r *Row) code(i int) string {
	switch {
	case r.Code == 0:
		return ""
	case i < len(r.Lines)-1:
		return fmt.Sprintf("%03d-", r.Code)
	}
	return fmt.Sprintf("%03d ", r.Code)
}

func (p *Printer) line(at, left, arrow, right, bytes, segments string) {
	s := fmt.Sprintf("%8s  %s %3s %s%8s%13s", at, pad(left, p.column), arrow, pad(right, p.column), bytes, segments)
	fmt.Fprintln(p.w, strings.TrimRight(s, " "))
}

// pad counts characters, as a terminal does for what printable lets through.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-3]) + "..."
}

// wrap cuts a line into pieces of at most width characters, at blanks where
// there are any; further pieces are indented.
func wrap(s string, width int) []string {
	var lines []string
	const indent = "  "
	rest := []rune(s)
	for len(rest) > width {
		cut := width
		for i := width; i > width/3; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		lines = append(lines, string(rest[:cut]))
		rest = append([]rune(indent), []rune(strings.TrimLeft(string(rest[cut:]), " "))...)
	}
	return append(lines, string(rest))
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
