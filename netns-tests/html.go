package parity

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else: what was run,
// and both traces of each result side by side.
func (r *Report) WriteHTML(w io.Writer) error {
	data, err := json.Marshal(r.forPage())
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"Data": template.JS(data), // json.Marshal escapes <, > and &
		"Head": r.Headline(), "Seed": r.Seed, "Agrees": r.Agrees(), "Missing": r.Missing(),
	})
}

// The page's data: texts once, and rows that number them.
type pageData struct {
	Texts   []string     `json:"texts"`
	Lanes   []Lane       `json:"lanes"`
	Rules   []Rule       `json:"rules"`
	Results []pageResult `json:"results"`
}

type pageResult struct {
	Scenario string         `json:"s"`
	Shows    string         `json:"w"`
	Place    string         `json:"p"`
	Verdict  Verdict        `json:"v"`
	Why      string         `json:"y,omitempty"`
	Failures []string       `json:"f,omitempty"`
	Uses     map[string]int `json:"u,omitempty"`
	// Rows are lane, text of IPv4, text of IPv6 (-1: none), text of what explains
	// or tells the difference (-1: none), and 1 when they are the same.
	Rows [][5]int `json:"r"`
}

func (r *Report) forPage() pageData {
	d := pageData{Lanes: append(append([]Lane{}, lanes...), realLanes...), Rules: Rules}
	numbers := map[string]int{}
	number := func(s string) int {
		n, ok := numbers[s]
		if !ok {
			n = len(d.Texts)
			numbers[s] = n
			d.Texts = append(d.Texts, s)
		}
		return n
	}
	event := func(e *Event) int {
		if e == nil {
			return -1
		}
		return number(cell(e))
	}
	laneAt := map[Lane]int{}
	for i, l := range d.Lanes {
		laneAt[l] = i
	}
	for i := range r.Results {
		x := &r.Results[i]
		p := pageResult{Scenario: x.Scenario, Shows: x.Shows, Place: x.Place, Verdict: x.Verdict, Why: x.Why, Uses: x.Rules, Failures: x.Failures()}
		for _, row := range x.Rows {
			why, same := -1, 0
			if row.Same {
				same = 1
			}
			if row.Why != "" {
				why = number(row.Why)
			} else if len(row.Rules) > 0 {
				why = number(fmt.Sprint(row.Rules))
			}
			p.Rows = append(p.Rows, [5]int{laneAt[row.Lane], event(row.IPv4), event(row.IPv6), why, same})
		}
		d.Results = append(d.Results, p)
	}
	return d
}
