package capture_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var (
	here  = netip.MustParseAddrPort("192.0.2.1:1000")
	there = netip.MustParseAddrPort("192.0.2.2:25")
	epoch = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
)

// block is what a reader finds in a file.
type block struct {
	at       time.Time
	inbound  bool
	data     string
	length   int
	comments []string
}

func read(t *testing.T, file []byte) (blocks []block) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	require.NoError(t, err)
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return blocks
		}
		require.NoError(t, err)
		blocks = append(blocks, block{
			info.Timestamp.UTC(), options.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound,
			string(data), info.Length, options.Comments,
		})
	}
}

func udp(from, to netip.AddrPort, text string) []byte { return linktest.UDP(from, to, []byte(text)) }

func TestFramesAndTheirOrder(t *testing.T) {
	var to bytes.Buffer
	file := capture.NewFile(&to)
	file.Epoch = epoch
	device := &linktest.Device{}
	clock := &nxtest.Clock{}
	e, err := file.Wrap(device).Open(link.Attachment{Instance: "client", Clock: clock})
	require.NoError(t, err)
	answering := &answerer{to: e}
	e.Attach(answering)

	first := linktest.Packet(udp(here, there, "first"))
	defer first.DecRef()
	linktest.WritePacket(e, first)
	assert.Equal(t, []*stack.PacketBuffer{first}, device.SentPackets(), "the very packet")
	device.Arrive(udp(there, here, "question"))
	assert.Equal(t, []string{"capture"}, e.Info().Wrappers)
	assert.Equal(t, "capture", device.Attachment().WireSegments)
	e.Stop()
	require.NoError(t, e.Release())
	require.NoError(t, e.Release())
	linktest.Write(e, udp(here, there, "too late"))
	require.NoError(t, file.Close())

	question, answer := udp(there, here, "question"), udp(here, there, "answer")
	assert.Equal(t, []block{
		{epoch, false, string(udp(here, there, "first")), len(udp(here, there, "first")), nil},
		{epoch, true, string(question), len(question), nil},
		{epoch, false, string(answer), len(answer), nil}, // sent while the question was on its way up
	}, read(t, to.Bytes()))
}

// answerer sends a frame from within the delivery of another.
type answerer struct {
	linktest.Listener
	to link.Endpoint
}

func (a *answerer) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {
	linktest.Write(a.to, udp(here, there, "answer"))
}

// Whatever happens to a frame on its way is its comment, on whichever side of
// the capture it happens.
func TestComments(t *testing.T) {
	var to bytes.Buffer
	file := capture.NewFile(&to)
	faults, err := fault.Parse("drop(out udp 1),corrupt(out udp 2),drop(in udp 1)")
	require.NoError(t, err)
	device := &linktest.Device{}
	driver := file.Wrap(fault.Wrap(device, faults))
	seen := &nxtest.Recorder{}
	recorder := driver.Recorder(seen)
	recorder.Record(nx.WarningEvent{Text: "before there is an endpoint"})
	e, err := driver.Open(link.Attachment{Instance: "client", Recorder: recorder})
	require.NoError(t, err)
	e.Attach(&gate{recorder})

	recorder.Record(nx.SocketEvent{Socket: "s", From: "CLOSED", To: "SYN SENT", Cause: "connect"})
	recorder.Record(nx.PacketEvent{Pool: "p"}) // says nothing
	lost := udp(here, there, strings.Repeat("lost ", 100))
	linktest.Write(e, lost)
	linktest.Write(e, udp(here, there, "damaged"))
	gone := udp(there, here, strings.Repeat("gone ", 100))
	device.Arrive(gone)
	device.Arrive(udp(there, here, "refused"))
	recorder.Record(nx.WarningEvent{Where: "here", Text: "after the last"})
	e.Stop()
	require.NoError(t, e.Release())
	require.NoError(t, file.Close())

	blocks := read(t, to.Bytes())
	require.Len(t, blocks, 5)
	assert.Equal(t, []string{"socket s: CLOSED -> SYN SENT (connect)", "dropped: fault: by a rule (fault)"}, blocks[0].comments)
	assert.Equal(t, string(lost), blocks[0].data)
	assert.Equal(t, []string{"fault: corrupted"}, blocks[1].comments)
	assert.Equal(t, string(udp(here, there, "damaged")), blocks[1].data, "over the faults, the frame is whole")

	assert.Equal(t, []string{"dropped: fault: by a rule (fault)"}, blocks[2].comments, "it never came this far")
	assert.True(t, blocks[2].inbound)
	assert.Equal(t, string(gone[:link.HeadBytes]), blocks[2].data)
	assert.Equal(t, len(gone), blocks[2].length)

	assert.Equal(t, []string{"dropped: the packet pool is empty (gate)"}, blocks[3].comments)
	assert.Equal(t, []string{"warning of here: after the last"}, blocks[4].comments)
	assert.Empty(t, blocks[4].data)
	assert.NotEmpty(t, nxtest.Of[nx.FaultEvent](seen), "events go on")
	assert.Len(t, nxtest.Of[nx.WarningEvent](seen), 2)
}

// gate is a stack whose pool is empty.
type gate struct{ recorder nx.Recorder }

func (g *gate) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	link.RecordDrop(g.recorder, "gate", nx.Received, link.DropPoolEmpty, pkt.Size(), link.Head(pkt))
}
func (*gate) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// Below the faults, the capture shows what is on the wire.
func TestBelowTheFaults(t *testing.T) {
	var to bytes.Buffer
	file := capture.NewFile(&to)
	faults, err := fault.Parse("drop(out udp 1),duplicate(out udp 2)")
	require.NoError(t, err)
	device := &linktest.Device{}
	inner := file.Wrap(device)
	e, err := fault.Wrap(inner, faults).Open(link.Attachment{Recorder: inner.Recorder(nil)})
	require.NoError(t, err)
	assert.Equal(t, "fault and capture", device.Attachment().WireSegments)
	assert.Equal(t, []string{"fault", "capture"}, e.Info().Wrappers)
	linktest.Write(e, udp(here, there, "one"))
	linktest.Write(e, udp(here, there, "two"))
	require.NoError(t, e.Release())
	require.NoError(t, file.Close())
	blocks := read(t, to.Bytes())
	require.Len(t, blocks, 3)
	assert.Equal(t, []string{"dropped: fault: by a rule (fault)"}, blocks[0].comments)
	two := string(udp(here, there, "two"))
	assert.Equal(t, []string{two, two}, []string{blocks[1].data, blocks[2].data})
	assert.Equal(t, []string{"fault: sent 2 times"}, blocks[1].comments)
}

// Secrets of an AUTH exchange are in no comment, should the layer that makes
// the events ever fail to redact them.
func TestNoSecretsInComments(t *testing.T) {
	var to bytes.Buffer
	file := capture.NewFile(&to)
	driver := file.Wrap(&linktest.Device{})
	e, err := driver.Open(link.Attachment{})
	require.NoError(t, err)
	r := driver.Recorder(nil)
	for _, line := range []nx.DialogueEvent{
		{Direction: nx.Sent, Client: "c", Phase: "AUTH", Text: "AUTH PLAIN AGFsaWNlAHNlY3JldA=="},
		{Direction: nx.Sent, Client: "c", Text: "auth plain AGFsaWNlAHNlY3JldA=="},
		{Direction: nx.Sent, Client: "c", Phase: "auth:password", Text: "AGFsaWNlAHNlY3JldA=="},
		{Direction: nx.Received, Client: "c", Phase: "AUTH", Text: "334 UGFzc3dvcmQ6"},
		{Direction: nx.Sent, Client: "c", Phase: "RCPT", Text: "RCPT TO:<bob@example.com>"},
	} {
		r.Record(line)
	}
	linktest.Write(e, udp(here, there, "x"))
	require.NoError(t, e.Release())
	require.NoError(t, file.Close())
	var comments []string
	for _, b := range read(t, to.Bytes()) {
		comments = append(comments, b.comments...)
	}
	assert.ElementsMatch(t, []string{
		"client c: AUTH PLAIN (withheld)", "client c: auth plain (withheld)", "client c: (withheld)",
		"server: 334 UGFzc3dvcmQ6", "client c: RCPT TO:<bob@example.com>",
	}, comments)
	assert.NotContains(t, to.String(), "AGFsaWNlAHNlY3JldA")
}

// What is told before its frame comes, or after it has passed, is the comment of
// that frame and no other.
func TestCommentsFindTheirFrame(t *testing.T) {
	var to bytes.Buffer
	file := capture.NewFile(&to)
	file.Hold = 10
	device := &linktest.Device{}
	driver := file.Wrap(device)
	e, err := driver.Open(link.Attachment{Instance: "client"})
	require.NoError(t, err)
	e.Attach(&linktest.Listener{})
	r := driver.Recorder(nil)
	segment := func(from, to netip.AddrPort, seq uint32, data string) []byte {
		return linktest.TCP(from, to, seq, 1, header.TCPFlagAck, []byte(data))
	}

	damaged := segment(there, here, 7, "damaged")
	r.Record(nx.FaultEvent{Direction: nx.Received, Done: "delayed 5ms, corrupted", Corrupted: true, Bytes: len(damaged), Packet: bytes.Clone(damaged)})
	r.Record(nx.DialogueEvent{Direction: nx.Sent, Client: "c", Text: "QUIT", Bytes: 6})
	r.Record(nx.PoolEmptyEvent{Pool: "p", Waited: 12 * time.Millisecond, Served: true})
	r.Record(nx.SegmentEvent{
		Direction: nx.Sent, Local: here, Remote: there, Flags: 16, Sequence: 3, Length: 5, Again: true, Cause: "the timer went off",
	})
	linktest.Write(e, segment(here, there, 1, "")) // an acknowledgement between
	device.Arrive(segment(there, here, 5, "xx"))
	linktest.Write(e, segment(here, there, 2, "first"))
	linktest.Write(e, segment(here, there, 3, "again"))
	damaged[30] ^= 4
	device.Arrive(damaged)
	device.Arrive(segment(there, here, 99, ""))
	r.Record(nx.DialogueEvent{Direction: nx.Received, Client: "c", Text: "bye", Code: 221})
	e.Stop()
	require.NoError(t, e.Release())
	require.NoError(t, file.Close())
	var comments [][]string
	for _, b := range read(t, to.Bytes()) {
		comments = append(comments, b.comments)
	}
	assert.Equal(t, [][]string{
		nil, nil, {"client c: QUIT", "pool \"p\" was empty, a packet came after 12ms"}, {"retransmission: the timer went off"},
		{"fault: delayed 5ms, corrupted", "server: 221 bye"}, nil,
	}, comments)
}

// Observation does not stop traffic.
func TestFullDisk(t *testing.T) {
	file := capture.NewFile(&disk{room: 600})
	device := &linktest.Device{}
	e, err := file.Wrap(device).Open(link.Attachment{})
	require.NoError(t, err)
	for range 10 {
		linktest.Write(e, udp(here, there, "frame"))
	}
	assert.Len(t, device.Sent(), 10)
	require.NoError(t, e.Release())
	lost, err := file.Err()
	assert.ErrorIs(t, err, errFull)
	assert.NotZero(t, lost)
	assert.ErrorIs(t, file.Close(), errFull)
}

type disk struct{ room int }

var errFull = errors.New("no space left on device")

func (d *disk) Write(b []byte) (int, error) {
	if d.room -= len(b); d.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestEmptyFile(t *testing.T) {
	var to bytes.Buffer
	require.NoError(t, capture.NewFile(&to).Close())
	assert.Empty(t, read(t, to.Bytes()))
}

// Two ends of a network in one file; Wireshark reads it and finds nothing wrong.
func TestWiresharkReadsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "transfer.pcapng")
	to, err := os.Create(path)
	require.NoError(t, err)
	defer to.Close()
	file := capture.NewFile(to)
	n := ram.NewNetwork(ram.Config{})
	addresses := []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64")}
	t.Run("transfer", func(t *testing.T) {
		driver := file.Wrap(n.Driver())
		recorder := driver.Recorder(nil)
		client := linktest.NewHost(t, driver, link.Attachment{Instance: "client", Recorder: recorder}, addresses[0])
		defer recorder.Record(nx.WarningEvent{Where: "test", Text: "the end"})
		server := linktest.NewHost(t, file.Wrap(n.Driver()), link.Attachment{Instance: "server"}, addresses[1])
		port := netip.AddrPortFrom(addresses[1].Addr(), 7)
		l := server.Listen(t, port)
		linktest.Transfer(t, client.Dial(t, port), l.Accept, 50_000)
	})
	require.NoError(t, file.Close())

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	blocks := read(t, content)
	var client, server int
	for _, b := range blocks {
		if b.length == 0 {
			continue // carries comments only
		}
		p := gopacket.NewPacket([]byte(b.data), layers.LinkTypeRaw, gopacket.Default)
		require.Nil(t, p.ErrorLayer())
		if d, ok := link.Dissect([]byte(b.data), b.length); ok && d.Flags.Contains(header.TCPFlagSyn) {
			if b.inbound {
				server++
			} else {
				client++
			}
		}
	}
	assert.Equal(t, 2, client, "SYN and SYN-ACK leave")
	assert.Equal(t, 2, server, "and arrive")

	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("SKIP: tshark is not installed: only our own reader has read the file")
	}
	out, err := exec.Command(tshark, "-r", path, "-o", "tcp.check_checksum:TRUE",
		"-Y", "_ws.malformed || tcp.checksum.status == 0", "-T", "fields", "-e", "frame.number").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Empty(t, withoutWarnings(string(out)))
	out, err = exec.Command(tshark, "-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment").Output()
	require.NoError(t, err)
	// What the stacks still send to an endpoint that is stopped may be told before
	// the file ends.
	comment, after, _ := strings.Cut(string(out), "\n")
	assert.Equal(t, "warning of test: the end", comment)
	for line := range strings.Lines(after) {
		assert.Contains(t, line, "dropped: the endpoint is stopped")
	}
	out, err = exec.Command(tshark, "-r", path, "-Y", "tcp.flags.syn == 1", "-T", "fields",
		"-e", "frame.interface_name", "-e", "frame.packet_flags_direction").Output()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"ram:net/1\t0x00000002", "ram:net/2\t0x00000001", "ram:net/2\t0x00000002", "ram:net/1\t0x00000001"}, strings.Split(strings.TrimSpace(string(out)), "\n"))
}

// withoutWarnings takes out what tshark says of running as root.
func withoutWarnings(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "Running as user") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
