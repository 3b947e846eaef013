package report

import (
	"strings"
	"testing"

	"gonetx/cmd/nxduo/internal/trace"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script makes a small trace: events are added at their times.
type script struct{ trace.Trace }

func newScript() *script {
	s := &script{}
	s.Header = trace.Header{
		Format: trace.Format, Version: trace.Version, Title: "a script", Workload: "out",
		Families: []trace.Family{{
			Family: "IPv4", Address: "192.0.2.2/24", Peer: "192.0.2.1", MSS: 1460,
			Link: trace.Link{Kind: "ram", Device: "ram:net/2", MTU: 1500}, Pools: []trace.Pool{{Name: "send pool", Payload: 800, Packets: 8}},
		}},
	}
	s.at(0, trace.ConnectionStarted, &trace.Connection{Connection: 1, Local: "192.0.2.2:1000", Remote: "192.0.2.1:25", Role: "client"})
	return s
}

func (s *script) at(time float64, name string, data any) {
	s.Events = append(s.Events, trace.Event{Time: time, Family: "IPv4", Name: name, Data: data})
}

func (s *script) sent(time float64, seq int64, length int, more ...func(*trace.Segment)) {
	s.segment(time, trace.SegmentSent, &trace.Segment{Flags: "PA", Seq: seq, Ack: 1, Length: length, Window: 8192}, more)
}

func (s *script) got(time float64, seq int64, length int, more ...func(*trace.Segment)) {
	s.segment(time, trace.SegmentReceived, &trace.Segment{Flags: "PA", Seq: seq, Ack: 1, Length: length, Window: 65535}, more)
}

// ack is an acknowledgement of the peer's.
func (s *script) ack(time float64, ack int64, more ...func(*trace.Segment)) {
	s.segment(time, trace.SegmentReceived, &trace.Segment{Flags: "A", Seq: 1, Ack: ack, Window: 65535}, more)
}

// answer is an acknowledgement of the instance's.
func (s *script) answer(time float64, ack int64, more ...func(*trace.Segment)) {
	s.segment(time, trace.SegmentSent, &trace.Segment{Flags: "A", Seq: 1, Ack: ack, Window: 8192}, more)
}

func (s *script) segment(time float64, name string, d *trace.Segment, more []func(*trace.Segment)) {
	d.Connection, d.Segments = 1, 1
	for _, change := range more {
		change(d)
	}
	s.at(time, name, d)
}

func again(cause trace.Cause, waited float64) func(*trace.Segment) {
	return func(d *trace.Segment) { d.Again, d.Cause, d.Waited = true, cause, &waited }
}

func window(bytes int64) func(*trace.Segment) { return func(d *trace.Segment) { d.Window = bytes } }

func flagged(letters string) func(*trace.Segment) {
	return func(d *trace.Segment) { d.Flags = letters }
}

// said is the finding that says something, with plain spaces.
func said(t *testing.T, all []Finding, words string) Finding {
	t.Helper()
	var texts []string
	for _, f := range all {
		f.Text = plainSpaces(f.Text)
		if strings.Contains(f.Text, words) {
			return f
		}
		texts = append(texts, f.Text)
	}
	require.Failf(t, "nothing says "+words, "%s", strings.Join(texts, "\n"))
	return Finding{}
}

func plainSpaces(s string) string {
	return strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(s)
}

// silent tells that nothing says something.
func silent(t *testing.T, all []Finding, words string) {
	t.Helper()
	for _, f := range all {
		assert.NotContains(t, plainSpaces(f.Text), words)
	}
}

func TestNothingWentWrong(t *testing.T) {
	s := newScript()
	for i := range 4 {
		s.sent(float64(10*i), int64(1+1000*i), 1000)
		s.ack(float64(10*i+5), int64(1001+1000*i))
	}
	all := Findings(&s.Trace)
	for _, f := range all {
		assert.Equal(t, Fine, f.Level, f.Text)
	}
	said(t, all, "No retransmission: 4 000 bytes of data went out, each once.")
	f := said(t, all, "The peer acknowledged 4 data segments with 4 acknowledgements: 1.0 each.")
	assert.Equal(t, "RFC 9293 section 3.8.6.3", f.Reference)
}

func TestFirstRetransmission(t *testing.T) {
	s := newScript()
	s.sent(0, 1, 1460)
	s.sent(1, 1461, 1460)
	s.sent(48.5, 1, 1460, again(trace.CauseFast, 48.5), func(d *trace.Segment) { d.Earlier = "fault: by chance" })
	s.sent(900, 1461, 1460, again(trace.CauseTimeout, 899))
	all := Findings(&s.Trace)
	f := said(t, all, "First retransmission at 48.5 ms: 1 460 bytes from number 1, by fast retransmit, 48.5 ms after the time before (fault: by chance). In all 2 segments, 50 % of the data sent.")
	assert.Equal(t, 48.5, f.At)
	assert.Contains(t, f.Reference, "RFC 5681 section 3.2")
	f = said(t, all, "1 segment sent again after the retransmission timer, the first at 900 ms.")
	assert.Contains(t, f.Reference, "RFC 6298 section 5.4")
	said(t, all, "1 segment sent again by fast retransmit")
}

func TestBackoff(t *testing.T) {
	s := newScript()
	s.sent(0, 1, 1000)
	s.sent(200, 1, 1000, again(trace.CauseTimeout, 200))
	s.sent(600, 1, 1000, again(trace.CauseTimeout, 400))
	s.sent(1400, 1, 1000, again(trace.CauseTimeout, 800))
	s.ack(1410, 1001)
	s.sent(2000, 1001, 1000)
	s.sent(2200, 1001, 1000, again(trace.CauseTimeout, 200))
	all := Findings(&s.Trace)
	f := said(t, all, "The retransmission timer backed off: the same bytes were sent again after 200 ms, 400 ms, 800 ms.")
	assert.Equal(t, Problem, f.Level)
	assert.Equal(t, 200.0, f.At)
	assert.Equal(t, 1400.0, f.Until)
	assert.Contains(t, f.Reference, "RFC 6298 section 5.5")
	f = said(t, all, "Nothing moved for 800 ms from 600 ms on, with 1 000 bytes not acknowledged; a retransmission (timeout) ended it.")
	assert.Equal(t, 1400.0, f.Until)

	once := newScript()
	once.sent(0, 1, 1000)
	once.sent(200, 1, 1000, again(trace.CauseTimeout, 200))
	silent(t, Findings(&once.Trace), "backed off")
}

func TestHandshakeAgain(t *testing.T) {
	s := newScript()
	s.sent(0, 0, 0, flagged("S"))
	s.sent(1000, 0, 0, flagged("S"), again(trace.CauseHandshake, 1000))
	s.sent(3000, 0, 0, flagged("S"), again(trace.CauseHandshake, 2000))
	all := Findings(&s.Trace)
	f := said(t, all, "2 SYNs sent again, the first at 1.00 s: the connection came up 3.00 s later for it.")
	assert.Contains(t, f.Reference, "RFC 6298 section 2.1")
	said(t, all, "backed off: the same bytes were sent again after 1.00 s, 2.00 s.")
	silent(t, all, "First retransmission")

	peer := newScript()
	peer.got(5, 0, 0, flagged("SA"))
	peer.got(1005, 0, 0, flagged("SA"), again(trace.CauseHandshake, 1000))
	said(t, Findings(&peer.Trace), "The peer sent its SYN-ACK again, once, first at 1.00 s.")
}

func TestOptions(t *testing.T) {
	s := newScript()
	said1 := func(d *trace.Segment) { d.MSS, d.Selective = 1460, true }
	s.sent(0, 0, 0, flagged("S"), said1)
	s.got(1, 0, 0, flagged("SA"), said1, func(d *trace.Segment) { d.MSS = 1200; d.Scale = new(int) })
	said(t, Findings(&s.Trace), "The SYNs agreed on segments of 1 460 bytes and 1 200 bytes, selective acknowledgements, no window scaling.")
}

func TestDuplicateAcknowledgements(t *testing.T) {
	s := newScript()
	for i := range 5 {
		s.sent(float64(i), int64(1+1000*i), 1000)
	}
	s.ack(10, 1001)
	for i := range 3 {
		s.ack(float64(11+i), 1001)
	}
	s.ack(15, 1001, window(30000)) // an update of the window is none
	s.ack(20, 5001)
	s.ack(21, 5001) // nothing is on its way: none either
	f := said(t, Findings(&s.Trace), "3 duplicate acknowledgements came in, the first at 11.0 ms, at most 3 in a row.")
	assert.Equal(t, "RFC 5681 section 2 and 3.2: three are taken for a loss", f.Reference)
	assert.Equal(t, 11.0, f.At)
}

func TestCongestion(t *testing.T) {
	s := newScript()
	ssthresh, rtt := int64(5840), 20.0
	state := func(time float64, window int64, threshold *int64, name string, flight int64) {
		s.at(time, trace.CongestionState, &trace.Congestion{Connection: 1, Window: int(window / 1460), WindowBytes: window, Threshold: threshold, InFlight: flight, SRTT: &rtt, RTO: 200, State: name})
	}
	state(10, 14600, nil, "open", 0)
	state(20, 29200, nil, "open", 29200)
	state(30, 8760, &ssthresh, "recovery", 0)
	state(40, 5840, &ssthresh, "open", 0)
	all := Findings(&s.Trace)
	f := said(t, all, "Slow start ended at 30.0 ms: ssthresh became 5 840 bytes, where the congestion window had been 29 200.")
	assert.Equal(t, "RFC 5681 section 3.1, equation 4", f.Reference)
	silent(t, all, "fell most") // it is the same moment
	said(t, all, "Loss recovery was entered once, the first time at 30.0 ms.")
	said(t, all, "The congestion window was 10 segments when the first answer came, and reached 29 200 bytes.")
	said(t, all, "The smoothed round trip was 20.0 ms in the middle (20.0 ms to 20.0 ms), the retransmission timeout 200 ms.")
	said(t, all, "held back by the congestion window for 100 % of the time, by the peer's window for 0 %, and for 0 % by nothing")
}

func TestDelayedACKHere(t *testing.T) {
	for waits, words := range map[float64]string{
		0.05: "No delayed ACK here: 4 data segments of the peer's got 4 acknowledgements, 50 µs after they came in the middle, 50 µs at most.",
		200:  "Delayed ACK here: 4 data segments of the peer's got 4 acknowledgements; 4 waited for 20.0 ms or more, the longest 200 ms from 0 ms on.",
	} {
		s := newScript()
		for i := range 4 {
			s.got(float64(1000*i), int64(1+1000*i), 1000)
			s.answer(float64(1000*i)+waits, int64(1001+1000*i))
		}
		f := said(t, Findings(&s.Trace), words)
		assert.Contains(t, f.Reference, "RFC 9293 section 3.8.6.3: less than 0.5 s")
	}
}

func TestDelayedACKOfThePeer(t *testing.T) {
	s := newScript()
	for i, took := range []float64{10, 11, 50, 12} {
		s.sent(float64(100*i), int64(1+100*i), 100)
		s.ack(float64(100*i)+took, int64(101+100*i))
	}
	lossy := newScript()
	for i, took := range []float64{10, 11, 50, 12} {
		lossy.sent(float64(100*i), int64(1+100*i), 100)
		if i == 2 {
			lossy.at(205, trace.PacketDropped, &trace.Dropped{Where: "fault", Direction: "received", Reason: "fault: by chance"})
		}
		lossy.ack(float64(100*i)+took, int64(101+100*i))
	}
	silent(t, Findings(&lossy.Trace), "Delayed ACK of the peer") // the first acknowledgement was lost

	f := said(t, Findings(&s.Trace), "Delayed ACK of the peer, it seems: 1 of 4 segments on their own was acknowledged 20.0 ms later than the fastest or more, the slowest 50.0 ms after it was sent at 200 ms.")
	assert.Equal(t, 250.0, f.Until)
}

func TestClosedWindow(t *testing.T) {
	s := newScript()
	s.sent(0, 1, 1000)
	s.ack(10, 1001, window(0))
	s.ack(510, 1001, window(4000))
	s.answer(600, 1, window(0))
	s.sent(700, 1001, 10)
	all := Findings(&s.Trace)
	f := said(t, all, "The peer closed its window once, for 500 ms together, the longest from 10.0 ms to 510 ms.")
	assert.Equal(t, "RFC 9293 section 3.8.6.1: the other side probes it", f.Reference)
	said(t, all, "The instance closed its window once, for 100 ms together")

	open := newScript()
	open.answer(0, 1, window(0))
	open.sent(50, 1, 10, window(0))
	said(t, Findings(&open.Trace), "The instance closed its window once, for 50.0 ms together") // until the end
}

func TestOutOfOrder(t *testing.T) {
	s := newScript()
	s.got(1, 1001, 1000)
	s.got(2, 1, 1000, func(d *trace.Segment) { d.OutOfOrder = true })
	s.got(3, 1, 1000, again(trace.CauseUnneeded, 1))
	s.got(4, 1, 1000, again(trace.CauseDuplicate, 1))
	all := Findings(&s.Trace)
	said(t, all, "1 segment came in behind bytes that follow, the first at 2.0 ms.")
	said(t, all, "The peer sent 2 segments again, the first at 3.0 ms: 1 doubled by the link, 1 in vain.")
}

func TestPoolFindings(t *testing.T) {
	s := newScript()
	s.at(0, trace.PoolOccupancy, &trace.Occupancy{Pool: "send pool", Free: 8, Lowest: 8})
	s.at(10, trace.PoolOccupancy, &trace.Occupancy{Pool: "send pool", Free: 2, Lowest: 1})
	f := said(t, Findings(&s.Trace), `The pool "send pool" never had fewer than 1 of its 8 packets free.`)
	assert.Equal(t, Fine, f.Level)
	s.at(30, trace.PoolEmpty, &trace.Empty{Pool: "send pool", Waited: 12, Served: true})
	s.at(50, trace.PoolEmpty, &trace.Empty{Pool: "send pool", Waited: 3, Served: true})
	f = said(t, Findings(&s.Trace), `The pool "send pool" (8 packets) was empty for 2 requests, the first time at 18.0 ms; the callers waited 15.0 ms together, the longest 12.0 ms from 18.0 ms on.`)
	assert.Equal(t, Notice, f.Level)
	assert.Equal(t, 30.0, f.Until)
	s.at(60, trace.PoolEmpty, &trace.Empty{Pool: "send pool", Waited: 0, Served: false})
	f = said(t, Findings(&s.Trace), "1 of them got none.")
	assert.Equal(t, Problem, f.Level)
}

func TestLossesCallsAndEnds(t *testing.T) {
	s := newScript()
	drop := func(time float64, direction, reason string) {
		s.at(time, trace.PacketDropped, &trace.Dropped{Where: "x", Direction: direction, Reason: reason})
	}
	drop(1, "sent", "fault: by chance")
	drop(2, "sent", "fault: by chance")
	drop(3, "received", "no packet in the pool")
	drop(4, "received", "addressed to somebody else")
	s.at(5, trace.APICall, &trace.Call{Service: "tcp.SocketSend", Status: "NX_WINDOW_OVERFLOW"})
	s.at(6, trace.APICall, &trace.Call{Service: "tcp.SocketReceive", Status: "NX_NO_PACKET"})
	s.at(7, trace.SocketState, &trace.Socket{Socket: "mail", From: "ESTABLISHED", To: "CLOSED", Cause: "connection reset by the peer"})
	s.segment(7, trace.SegmentReceived, &trace.Segment{Flags: "RA"}, nil)
	s.at(8, trace.WorkloadEnd, &trace.Mark{Text: "it broke", Failed: true})
	s.at(9, trace.TraceLost, &trace.Lost{Events: 12})
	s.at(9, trace.StackWarning, &trace.Warning{Where: "smtp", Text: "a word."})
	s.at(10, trace.StackWarning, &trace.Warning{Where: "smtp", Text: "a word."})
	all := Findings(&s.Trace)
	for words, level := range map[string]Level{
		"2 datagrams were dropped on the way out, the first at 1.0 ms: fault: by chance.":                 Notice,
		"1 datagram was dropped on the way in, the first at 3.0 ms: no packet in the pool.":               Problem,
		"the first at 4.0 ms: addressed to somebody else":                                                 Fine,
		"tcp.SocketSend answered NX_WINDOW_OVERFLOW, once, the first time at 5.0 ms.":                     Problem,
		`The connection of "mail" ended at 7.0 ms in the state ESTABLISHED: connection reset by the peer`: Problem,
		"The peer sent 1 reset, the first at 7.0 ms.":                                                     Notice,
		"The workload failed at 8.0 ms: it broke.":                                                        Problem,
		"12 events are missing at 9.0 ms":                                                                 Problem,
		"Warning of smtp: a word (twice).":                                                                Notice,
	} {
		assert.Equal(t, level, said(t, all, words).Level, words)
	}
	silent(t, all, "NX_NO_PACKET")
	assert.Equal(t, Problem, all[0].Level, "what went wrong comes first")
	assert.Equal(t, Fine, all[len(all)-1].Level)
}

func TestDialogueFindings(t *testing.T) {
	s := newScript()
	s.at(1, trace.SMTPReply, &trace.Dialogue{Phase: "GREETING", Text: "hi", Code: 220})
	s.at(2, trace.SMTPCommand, &trace.Dialogue{Phase: "EHLO", Text: "EHLO x"})
	s.at(12, trace.SMTPReply, &trace.Dialogue{Phase: "EHLO", Text: "ok", Code: 250})
	s.at(13, trace.SMTPCommand, &trace.Dialogue{Phase: "RCPT", Text: "RCPT TO:<a>"})
	s.at(15, trace.SMTPReply, &trace.Dialogue{Phase: "RCPT", Text: "no such user", Code: 550})
	all := Findings(&s.Trace)
	said(t, all, "The slowest of 2 replies was that to EHLO: 10.0 ms, from 2.0 ms on.")
	assert.Equal(t, Problem, said(t, all, "The server refused at 15.0 ms, in the phase RCPT: 550 no such user").Level)
}

func TestSmallSegments(t *testing.T) {
	s := newScript()
	for i := range 12 {
		s.sent(float64(i), int64(1+50*i), 50)
	}
	said(t, Findings(&s.Trace), "12 of 12 segments of data carry less than half of the 1 460 bytes that one may")
}

func TestNumbersInWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1\u202f000", -1234567: "-1\u202f234\u202f567"} {
		assert.Equal(t, want, group(n))
	}
	for ms, want := range map[float64]string{0: "0 ms", 0.25: "250 µs", 1: "1.0 ms", 99.94: "99.9 ms", 150.4: "150 ms", 1500: "1.50 s", 65000: "65.0 s"} {
		assert.Equal(t, want, plainSpaces(duration(ms)))
	}
	assert.Equal(t, "0.5 %", plainSpaces(percent(1, 200)))
	assert.Equal(t, "0 %", plainSpaces(percent(1, 0)))
	assert.Equal(t, "3 b, 1 a, 1 c", tally(map[string]int{"a": 1, "b": 3, "c": 1}))
}
