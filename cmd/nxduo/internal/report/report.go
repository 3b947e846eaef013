// Package report makes one HTML file of a trace: the run in a table, findings
// in words with the passage that says how it should be, and graphs on one time
// axis, one family beside the other. The file needs nothing beside itself.
//
// The graphs are drawn by a program in the file (page/*.js, without a library);
// everything that is said in words is found here, so that it can be tested.
package report

import (
	"embed"
	"html/template"
	"io"
	"slices"
	"strings"

	"gonetx/cmd/nxduo/internal/trace"
)

//go:embed page
var files embed.FS

// Options are what the trace itself does not know.
type Options struct {
	Command string // that repeats the run, as a shell reads it
	CutOff  string // why the trace is not complete; empty: it is
}

// Write writes the report of a trace.
func Write(to io.Writer, t *trace.Trace, o Options) error {
	page, err := template.ParseFS(files, "page/page.html")
	if err != nil {
		return err
	}
	style, err := files.ReadFile("page/style.css")
	if err != nil {
		return err
	}
	var script strings.Builder
	script.WriteString("'use strict';\n")
	for _, name := range []string{"chart.js", "graphs.js", "page.js"} {
		part, err := files.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		script.Write(part)
	}
	d := draw(t)
	return page.Execute(to, content{
		Header: t.Header, Started: t.Header.Started.Format("2 January 2006, 15:04:05 MST"),
		Command: o.Command, CutOff: o.CutOff, Interrupted: t.End.Interrupted, Why: sentence(t.End.Why),
		Summary: summary(t), Comparison: comparison(t), Findings: columns(t, d.Findings),
		Style: template.CSS(style), Script: template.JS(script.String()), Data: d,
	})
}

// content is what the page shows. The template writes Data as JSON that ends no
// script: html/template escapes it for the place where it stands.
type content struct {
	Header      trace.Header
	Started     string
	Command     string
	CutOff      string
	Interrupted bool
	Why         string
	Summary     []row
	Comparison  string
	Findings    []column
	Style       template.CSS
	Script      template.JS
	Data        *drawing
}

// column is the findings of one family.
type column struct {
	Family      string
	Shown, Fine []Finding
}

func columns(t *trace.Trace, all []Finding) []column {
	var list []column
	for _, f := range t.Header.Families {
		c := column{Family: f.Family}
		for _, one := range all {
			switch {
			case one.Family != f.Family:
			case one.Level == Fine:
				c.Fine = append(c.Fine, one)
			default:
				c.Shown = append(c.Shown, one)
			}
		}
		if len(c.Shown) == 0 { // then what went well is what there is to read
			c.Shown, c.Fine = slices.Clone(c.Fine), nil
		}
		list = append(list, c)
	}
	return list
}

// sentence ends a cause with a full stop.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
