package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gonetx/cmd/nxduo/internal/trace"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

func sample(t testing.TB, name string) *trace.Trace {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "trace", "testdata", name+".jsonl"))
	require.NoError(t, err)
	defer f.Close()
	read, err := trace.Read(f)
	require.NoError(t, err)
	return read
}

var samples = []string{"mail", "out", "in"}

func written(t testing.TB, of *trace.Trace, o Options) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, of, o))
	return b.String()
}

// outline walks through the page: the elements without those that are empty by
// nature, with what scripts and styles hold.
func outline(t *testing.T, page string) (elements []html.Token, scripts map[string]string) {
	t.Helper()
	void := map[string]bool{"meta": true, "br": true, "link": true, "img": true, "input": true, "hr": true}
	scripts = make(map[string]string)
	var open []string
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			assert.Empty(t, open, "every element is closed")
			return elements, scripts
		case html.StartTagToken:
			token := z.Token()
			elements = append(elements, token)
			if !void[token.Data] {
				open = append(open, token.Data)
			}
		case html.TextToken:
			if n := len(open); n > 0 && open[n-1] == "script" {
				last := elements[len(elements)-1]
				key := "code"
				for _, a := range last.Attr {
					if a.Key == "id" {
						key = a.Val
					}
				}
				scripts[key] = string(z.Raw())
			}
		case html.EndTagToken:
			token := z.Token()
			require.NotEmpty(t, open, "</%s> closes nothing", token.Data)
			require.Equal(t, open[len(open)-1], token.Data, "elements are nested")
			open = open[:len(open)-1]
		}
	}
}

// The page has everything, in order, and nothing that would be fetched.
func TestPage(t *testing.T) {
	for _, name := range samples {
		t.Run(name, func(t *testing.T) {
			of := sample(t, name)
			page := written(t, of, Options{Command: "nxduo study " + name})
			elements, scripts := outline(t, page)
			ids := map[string]bool{}
			for _, e := range elements {
				for _, a := range e.Attr {
					assert.NotContains(t, []string{"src", "href", "srcset", "action", "poster", "onclick"}, a.Key, "<%s> loads nothing", e.Data)
					if a.Key == "id" {
						assert.False(t, ids[a.Val], "the id %s is there once", a.Val)
						ids[a.Val] = true
					}
				}
				assert.NotContains(t, []string{"link", "iframe", "img", "object", "embed"}, e.Data)
			}
			for _, want := range []string{"data", "command", "graphs", "rows", "bar", "tip", "copy"} {
				assert.True(t, ids[want], want)
			}
			assert.NotRegexp(t, `(?i)https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(`, page)
			for _, f := range of.Header.Families {
				assert.Contains(t, page, `<th scope="col">`+f.Family+"</th>")
				assert.Contains(t, page, "<h3>"+f.Family+"</h3>")
			}
			assert.Contains(t, page, `<code id="command">nxduo study `+name+"</code>")

			var drawn struct {
				Families []struct {
					Family      string
					Connections []struct {
						Segments struct{ T, S, L, W []float64 }
					}
				}
				Findings []Finding
			}
			require.NoError(t, json.Unmarshal([]byte(scripts["data"]), &drawn))
			segments, inTrace := 0, 0
			for _, f := range drawn.Families {
				for _, c := range f.Connections {
					segments += len(c.Segments.T)
					assert.Len(t, c.Segments.W, len(c.Segments.T))
				}
			}
			for _, e := range of.Events {
				if _, is := e.Data.(*trace.Segment); is {
					inTrace++
				}
			}
			assert.Equal(t, inTrace, segments, "every segment is drawn")
			assert.NotEmpty(t, drawn.Findings)
		})
	}
}

// What a peer or a user says is text on the page, whatever it is.
func TestNothingBreaksOut(t *testing.T) {
	const evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u2029<!--"
	s := newScript()
	s.Header.Title, s.Header.Faults, s.Header.Notes = evil, evil, []string{evil}
	s.Header.Families[0].Pools[0].Name = evil
	s.at(1, trace.SMTPReply, &trace.Dialogue{Phase: evil, Text: evil, Code: 550})
	s.at(2, trace.StackWarning, &trace.Warning{Where: evil, Text: evil})
	s.at(3, trace.PoolEmpty, &trace.Empty{Pool: evil})
	s.Trace.End = trace.End{Interrupted: true, Why: evil}
	page := written(t, &s.Trace, Options{Command: evil, CutOff: evil})
	elements, scripts := outline(t, page)
	count := map[string]int{}
	for _, e := range elements {
		count[e.Data]++
	}
	assert.Equal(t, 2, count["script"])
	assert.Zero(t, count["img"])
	assert.NotContains(t, scripts["data"], "\u2028")
	assert.NotContains(t, scripts["data"], "<")
	var drawn struct {
		Families []struct{ Dialogue []struct{ X string } }
	}
	require.NoError(t, json.Unmarshal([]byte(scripts["data"]), &drawn))
	assert.Equal(t, evil, drawn.Families[0].Dialogue[0].X, "and it is the same text")
}

// Banners tell what a reader must know first.
func TestBanners(t *testing.T) {
	of := sample(t, "out")
	plain := written(t, of, Options{})
	assert.NotContains(t, plain, "<b>The run was interrupted.</b>")
	assert.NotContains(t, plain, "<b>The trace is cut off.</b>")
	of.End = trace.End{Interrupted: true, Why: "the time limit"}
	page := written(t, of, Options{CutOff: "line 7."})
	assert.Contains(t, page, "<b>The run was interrupted.</b> the time limit.")
	assert.Contains(t, page, "<b>The trace is cut off.</b> line 7.")
}

func TestComparison(t *testing.T) {
	of := transfer()
	assert.Equal(t, "Both families took the same time, within a tenth. Segments lost: IPv4 1, IPv6 1; sent again by either side: IPv4 1, IPv6 1.", comparison(of))
	of.Events = append(of.Events, trace.Event{Time: 440, Family: "IPv6", Name: trace.WorkloadEnd, Data: &trace.Mark{Text: "done"}})
	assert.Contains(t, comparison(of), "IPv6 took 2.0 times as long as IPv4. ")
	of.Header.Families = of.Header.Families[:1]
	assert.Empty(t, comparison(of))
}

// A trace in which nothing happened is a page all the same.
func TestEmptyTrace(t *testing.T) {
	of := &trace.Trace{Header: trace.Header{Title: "nothing"}}
	outline(t, written(t, of, Options{}))
	of.Header.Families = newScript().Header.Families
	outline(t, written(t, of, Options{}))
}

// The scripts close no element, and the style and they have no bytes that an
// editor would not show.
func TestPageFiles(t *testing.T) {
	strange := regexp.MustCompile(`[^\t\n -~]`)
	for _, name := range []string{"chart.js", "graphs.js", "page.js", "style.css"} {
		b, err := files.ReadFile("page/" + name)
		require.NoError(t, err)
		assert.NotRegexp(t, `(?i)</(script|style)`, string(b), name)
		for _, r := range strange.FindAllString(string(b), -1) {
			assert.Contains(t, "−◂▸←→±µ–…“”", r, name)
		}
	}
}

// large is a trace of many segments with a loss here and there.
func large(segments int) *trace.Trace {
	s := newScript()
	for i := range segments / 2 {
		at, seq := float64(i)/10, int64(1+1460*i)
		if i%50 == 7 {
			s.sent(at, seq-1460*5, 1460, again(trace.CauseFast, 0.5))
		} else {
			s.sent(at, seq, 1460)
		}
		s.ack(at+0.05, seq)
		if i%20 == 0 {
			s.at(at+0.05, trace.CongestionState, &trace.Congestion{Connection: 1, Window: 10 + i%40, WindowBytes: int64(1460 * (10 + i%40)), InFlight: int64(1460 * (i % 30)), RTO: 200, State: "open"})
			s.at(at+0.05, trace.PoolOccupancy, &trace.Occupancy{Pool: "send pool", Free: i % 9, Lowest: max(0, i%9-1), Holders: []trace.Holder{{Kind: "transmit queue", Packets: 8 - i%9}}})
		}
	}
	return &s.Trace
}

// A hundred thousand segments are some megabytes, and quickly made.
func TestLargeTrace(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	page := written(t, large(n), Options{})
	assert.Less(t, len(page)/n, 80, "bytes for each segment")
	_, scripts := outline(t, page)
	assert.True(t, json.Valid([]byte(scripts["data"])))
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			of := large(n)
			for b.Loop() {
				written(b, of, Options{})
			}
		})
	}
}

// The report of an older trace has words for what nothing writes any more.
func TestOlderTrace(t *testing.T) {
	page := written(t, sample(t, "older"), Options{})
	assert.Contains(t, page, "to probe for a lost tail")
	assert.Contains(t, page, "because the connection stood still")
}
