package ladder

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sent(text string, bytes int) nx.Event {
	return nx.DialogueEvent{Direction: nx.Sent, Text: text, Bytes: bytes}
}

func reply(text string, bytes int) nx.Event {
	code, text := text[:3], text[4:]
	number, _ := strconv.Atoi(code)
	return nx.DialogueEvent{Direction: nx.Received, Code: number, Text: text, Bytes: bytes}
}

func out(seq uint32, n int) nx.Event {
	return nx.SegmentEvent{Direction: nx.Sent, Sequence: seq, Length: n, Flags: psh | ack}
}

func in(seq uint32, n int) nx.Event {
	return nx.SegmentEvent{Direction: nx.Received, Sequence: seq, Length: n, Flags: psh | ack}
}

// session is the begin of a mail, with segments before and after the event
// they belong to, one sent again, and a super-segment.
var session = []nx.Event{
	nx.SegmentEvent{Direction: nx.Sent, Flags: syn, Sequence: 0xFFFFFFF0},
	nx.SegmentEvent{Direction: nx.Received, Flags: syn | ack, Sequence: 99},
	in(100, 20), in(120, 19), reply("220 localhost", 39),
	sent("EHLO mycompany.com", 20), out(0xFFFFFFF1, 20), out(0xFFFFFFF1, 20),
	in(139, 40), reply("250-localhost", 40), reply("250 SIZE", 0),
	out(5, 6), sent("DATA", 6),
	in(179, 10), reply("354 go on", 10),
	nx.SegmentEvent{Direction: nx.Sent, Sequence: 11, Length: 3000, GSOSize: 1460}, out(3011, 5), sent("", 3005),
}

func TestRows(t *testing.T) {
	r := New(false)
	for _, e := range session {
		r.Record(e)
	}
	type row struct {
		from            string
		lines           string
		bytes, segments int
		again           int
	}
	var got []row
	for _, x := range r.Rows() {
		for i := range x.Lines {
			x.Lines[i] = x.code(i) + x.Lines[i]
		}
		got = append(got, row{x.From, strings.Join(x.Lines, "|"), x.Bytes, x.Segments, x.Again})
	}
	assert.Equal(t, []row{
		{Server, "220 localhost", 39, 2, 0},
		{Client, "EHLO mycompany.com", 20, 2, 1},
		{Server, "250-localhost|250 SIZE", 40, 1, 0},
		{Client, "DATA", 6, 1, 0},
		{Server, "354 go on", 10, 1, 0},
		{Client, "(the mail)", 3005, 4, 0},
	}, got)
	assert.Equal(t, Totals{Segments: 8, Data: 7, Bytes: 3051, Again: 1}, r.Summary().Sent)
	assert.Equal(t, Totals{Segments: 5, Data: 4, Bytes: 89}, r.Summary().Received)
}

func TestDetailKeepsTheLinesOfAReplyTogether(t *testing.T) {
	r := New(true)
	r.Record(nx.SegmentEvent{Direction: nx.Received, Flags: syn | ack})
	r.Record(reply("250-localhost", 40))
	r.Record(in(1, 3))
	r.Record(reply("250 SIZE", 0))
	r.Record(nx.SocketEvent{From: "CLOSED", To: "SYN SENT", Cause: "connect"})
	var lines []string
	for _, row := range r.Rows() {
		lines = append(lines, strings.Join(row.Lines, "|"))
	}
	assert.Equal(t, []string{"[SYN,ACK]", "localhost|SIZE", "[PSH,ACK]", "(CLOSED to SYN SENT: connect)"}, lines)
}

func TestSummary(t *testing.T) {
	r := New(false)
	for _, e := range []nx.Event{
		nx.PacketEvent{Pool: "a", Free: 3}, nx.PacketEvent{Pool: "a", Free: 2}, nx.PacketEvent{Pool: "a", Free: 9},
		nx.PacketEvent{Pool: "b", Free: 1}, nx.PoolEmptyEvent{Pool: "b"},
		nx.DropEvent{Reason: "pool"}, nx.DropEvent{Reason: "pool"}, nx.DropEvent{Reason: "checksum"},
		nx.WarningEvent{Text: "w"}, nx.WarningEvent{Text: "w"},
	} {
		r.Record(e)
	}
	s := r.Summary()
	assert.Equal(t, map[string]int{"a": 2, "b": 0}, s.Lowest)
	assert.Equal(t, map[string]int{"pool": 2, "checksum": 1}, s.Drops)
	assert.Equal(t, []string{"w"}, s.Warnings)
}

func TestChangedTellsOfSomethingNew(t *testing.T) {
	r := New(false)
	r.Record(nx.CallEvent{})
	select {
	case <-r.Changed():
		t.Fatal("a call is nothing that a ladder shows")
	default:
	}
	r.Record(sent("NOOP", 6))
	r.Record(sent("NOOP", 6))
	<-r.Changed()
}

func TestPrint(t *testing.T) {
	r := New(false)
	for _, e := range session {
		r.Record(e)
	}
	r.Record(reply("250 2.0.0 a very long line that a server may say, \x1b[2Jand some more of it to be sure", 80))
	var b bytes.Buffer
	p := NewPrinter(&b, 0)
	p.Head("1.2.3.5", "1.2.3.4")
	p.Print(r.Rows(), 1)
	p.Print(r.Rows(), 0)
	text := regexp.MustCompile(`(?m)^ +[0-9.]+  `).ReplaceAllString(b.String(), "    0.00  ")
	require.Equal(t, `
      ms  1.2.3.5                                      1.2.3.4                                    bytes     segments
    0.00                                           <-- 220 localhost                                 39            2
    0.00  EHLO mycompany.com                       -->                                               20   2, 1 again
    0.00                                           <-- 250-localhost                                 40            1
                                                       250 SIZE
    0.00  DATA                                     -->                                                6            1
    0.00                                           <-- 354 go on                                     10            1
    0.00  (the mail)                               -->                                             3005            4
    0.00                                           <-- 250 2.0.0 a very long line that a server      80            0
                                                         may say, ?[2Jand some more of it to be
                                                         sure
`, "\n"+text)
}

func TestNarrowTerminal(t *testing.T) {
	var b bytes.Buffer
	p := NewPrinter(&b, 80)
	p.Head(strings.Repeat("c", 60), strings.Repeat("s", 60))
	p.Print([]Row{{From: Client, Lines: []string{strings.Repeat("x", 60)}, Bytes: 60, Segments: 1}}, 0)
	for _, line := range strings.Split(b.String(), "\n") {
		assert.LessOrEqual(t, len(line), 81)
	}
	assert.Equal(t, 60, strings.Count(b.String(), "x"), "nothing is lost")
}
