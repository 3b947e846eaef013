package study

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed sweep.html
var sweepHTML string

var sweepTemplate = template.Must(template.New("sweep").Funcs(template.FuncMap{
	"percent":   func(f float64) string { return fmt.Sprintf("%g %%", f*100) },
	"thousands": func(f float64) string { return fmt.Sprintf("%.0f", f/1000) },
	"join":      func(words []string) string { return strings.Join(words, " ") },
	// hue goes from red to green with the share of the best.
	"hue": func(rate, best float64) int {
		if best <= 0 {
			return 0
		}
		return int(120 * rate / best)
	},
	"enough": func(f SweepFamily, c Cell) bool {
		for _, e := range f.Enough {
			if e.Loss == c.Loss && e.Packets == c.Packets {
				return true
			}
		}
		return false
	},
}).Parse(sweepHTML))

// WriteHTML writes the heat maps as one file that needs no other.
func (r *SweepResult) WriteHTML(w io.Writer) error { return sweepTemplate.Execute(w, r) }
