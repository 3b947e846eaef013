package stat

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Print writes a snapshot for people. The lines of a socket are those of
// "ss -tiem", with NetX Duo's states: Recv-Q and Send-Q are bytes that are not
// taken and bytes that are not acknowledged; of a listening port, connection
// requests that wait and how many may.
func (s *Snapshot) Print(out io.Writer) error {
	var b strings.Builder
	s.head(&b)
	s.pools(&b)
	s.sockets(&b)
	s.Counters.print(&b)
	_, err := io.WriteString(out, b.String())
	return err
}

func (s *Snapshot) head(b *strings.Builder) {
	i := &s.Instance
	fmt.Fprintf(b, "%s  process %d, up for %s\n", s.Name, s.Process, s.Taken.Sub(s.Began).Round(time.Second))
	fmt.Fprintf(b, "  %s", words(i.Addresses))
	if len(i.Gateways) > 0 {
		fmt.Fprintf(b, "  gateway %s", words(i.Gateways))
	}
	fmt.Fprintf(b, "\n  %s: %s, %s, MTU %d, %s", i.Device, i.Kind, either(i.Up, "up", "down"), i.MTU, either(i.Offload, "offload", "no offload"))
	if i.Why != "" {
		fmt.Fprintf(b, " (%s)", i.Why)
	}
	if len(i.Wrappers) > 0 {
		fmt.Fprintf(b, ", through %s", strings.Join(i.Wrappers, ", "))
	}
	b.WriteString("\n\n")
}

func words[T fmt.Stringer](list []T) string {
	var all []string
	for _, v := range list {
		all = append(all, v.String())
	}
	return strings.Join(all, "  ")
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func (s *Snapshot) pools(b *strings.Builder) {
	t := table{right: []bool{false, true, true, true, true}}
	t.row("Pool", "Payload", "Free", "of", "Empty", "Held by")
	for _, p := range s.Pools {
		var held []string
		for _, h := range p.Holders {
			owner := h.Kind
			if h.Name != "" {
				owner += " of " + h.Name
			}
			held = append(held, fmt.Sprintf("%s %d", owner, h.Packets))
		}
		t.row(p.Name, fmt.Sprint(p.Payload), fmt.Sprint(p.Free), fmt.Sprint(p.Packets), fmt.Sprint(p.Empty), strings.Join(held, ", "))
	}
	t.print(b)
	for _, p := range s.Pools {
		if p.Invalid > 0 {
			fmt.Fprintf(b, "  %s: %d invalid releases\n", p.Name, p.Invalid)
		}
	}
	b.WriteString("\n")
}

func (s *Snapshot) sockets(b *strings.Builder) {
	t := table{right: []bool{false, true, true}}
	t.row("State", "Recv-Q", "Send-Q", "Local", "Peer", "Socket")
	for _, l := range s.Listens {
		t.row("LISTEN", fmt.Sprint(l.Queued), fmt.Sprint(l.Maximum), fmt.Sprintf("*:%d", l.Port), "*", either(l.Ready, "", "wants relisten"))
	}
	for i := range s.Sockets {
		c := &s.Sockets[i]
		if c.waits() {
			continue // it is the port that was shown
		}
		t.row(c.State, fmt.Sprint(c.Unread), fmt.Sprint(c.Unacknowledged), c.Local, c.Remote, c.Name+either(c.Deleted, " (deleted)", ""))
		t.under(c.details())
	}
	t.print(b)
	b.WriteString("\n")
}

// waits tells that a socket does nothing but wait for a connection.
func (c *Socket) waits() bool {
	return c.Server && c.Remote == "" && (c.State == "LISTEN" || c.State == "SYN_RECEIVED")
}

// details are the second line of a socket, in the words of ss where it has one.
func (c *Socket) details() string {
	var w []string
	add := func(format string, values ...any) { w = append(w, fmt.Sprintf(format, values...)) }
	if g := c.Congestion; g != nil {
		add("%s", strings.ReplaceAll(g.State, " ", "-"))
		add("cwnd:%d", g.Window)
		if g.Threshold > 0 {
			add("ssthresh:%d", g.Threshold)
		}
		if g.RTT > 0 {
			add("rtt:%s/%s", milliseconds(g.RTT), milliseconds(g.RTTVar))
		}
		add("rto:%s", milliseconds(g.RTO))
		if g.Reordered {
			add("reordering")
		}
	}
	if c.MSS > 0 {
		add("mss:%d", c.MSS)
	}
	add("txq:%d/%d", c.QueueDepth, c.QueueMaximum)
	add("rxq:%d", c.ReceivedPackets)
	if c.Congestion != nil {
		add("snd_wnd:%d rcv_wnd:%d/%d", c.PeerWindow, c.ReceiveWindow, c.Window)
	}
	add("sent:%d/%dB received:%d/%dB retrans:%d", c.SentPackets, c.SentBytes, c.InPackets, c.InBytes, c.Retransmissions)
	if c.Receivers > 0 {
		add("receiving:%d", c.Receivers)
	}
	if c.Senders > 0 {
		add("sending:%d", c.Senders)
	}
	return strings.Join(w, " ")
}

func milliseconds(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()*1000), "0"), ".")
}

func (c *Counters) print(b *strings.Builder) {
	fmt.Fprintf(b, "IP    in %d datagrams, %d bytes; out %d, %d; dropped %d in, %d out; invalid %d, bad checksum %d",
		c.IP.TotalPacketsReceived, c.IP.TotalBytesReceived, c.IP.TotalPacketsSent, c.IP.TotalBytesSent,
		c.IP.ReceivePacketsDropped, c.IP.SendPacketsDropped, c.IP.InvalidPackets, c.IP.ReceiveChecksumErrors)
	if c.IP.TotalFragmentsReceived+c.IP.TotalFragmentsSent > 0 {
		fmt.Fprintf(b, "; fragments %d in, %d out", c.IP.TotalFragmentsReceived, c.IP.TotalFragmentsSent)
	}
	reasons(b, c.IP.Drops)
	fmt.Fprintf(b, "ICMP  pings %d, answers %d, timed out %d; bad checksum %d, unhandled %d\n",
		c.ICMP.PingsSent, c.ICMP.PingResponsesReceived, c.ICMP.PingTimeouts, c.ICMP.ICMPChecksumErrors, c.ICMP.ICMPUnhandledMessages)
	fmt.Fprintf(b, "TCP   in %d data segments, %d bytes; out %d, %d; sent again %d; dropped %d, invalid %d, bad checksum %d\n",
		c.TCP.PacketsReceived, c.TCP.BytesReceived, c.TCP.PacketsSent, c.TCP.BytesSent, c.TCP.RetransmittedPackets,
		c.TCP.ReceivePacketsDropped, c.TCP.InvalidPackets, c.TCP.ChecksumErrors)
	fmt.Fprintf(b, "      connections %d, ended %d, refused or too many %d\n", c.TCP.Connections, c.TCP.Disconnections, c.TCP.ConnectionsDropped)
	fmt.Fprintf(b, "Link  in %d frames, out %d; dropped %d in, %d out", c.Link.InFrames, c.Link.OutFrames, c.Link.InDrops, c.Link.OutDrops)
	reasons(b, c.Link.Drops)
}

// reasons ends a line with why something was dropped, the most frequent first.
func reasons(b *strings.Builder, drops map[string]uint64) {
	var names []string
	for name, n := range drops {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(drops[y], drops[x]), cmp.Compare(x, y)) })
	for i, name := range names {
		fmt.Fprintf(b, "%s%s %d", either(i == 0, "\n      because: ", ", "), name, drops[name])
	}
	b.WriteString("\n")
}

// table has columns that are as wide as they must be. The last one is as long
// as it likes.
type table struct {
	right []bool // the column is of numbers
	rows  [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// under adds a line below the last row.
func (t *table) under(line string) { t.rows = append(t.rows, []string{line}) }

func (t *table) print(b *strings.Builder) {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		if len(row) == 1 {
			continue
		}
		for i, cell := range row {
			width[i] = max(width[i], len(cell))
		}
	}
	for _, row := range t.rows {
		if len(row) == 1 {
			fmt.Fprintf(b, "    %s\n", row[0])
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-len(cell))
			if i < len(t.right) && t.right[i] {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
