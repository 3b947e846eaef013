package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/packetpool/nx"
)

// demoReport is the result of the demonstration, as --json prints it.
type demoReport struct {
	OK    bool          `json:"ok"`
	Link  string        `json:"link"`             // "TUN" or "RAM"
	NoTUN string        `json:"no_tun,omitempty"` // why there is no TUN device
	Mails []*mailReport `json:"mails"`
	Pools []poolState   `json:"pools"`
	Took  time.Duration `json:"took_ns"`
}

type mailReport struct {
	Family      string         `json:"family"`
	Auth        string         `json:"auth"`
	Client      string         `json:"client"`
	Server      string         `json:"server"`
	Rows        []ladder.Row   `json:"dialogue"`
	Summary     ladder.Summary `json:"segments"`
	Differences []string       `json:"differences"` // between what was sent and what was stored
	Error       string         `json:"error,omitempty"`
	Took        time.Duration  `json:"took_ns"`
}

// mail adds the report of a mail that is about to be sent.
func (r *demoReport) mail(m demoMail) *mailReport {
	added := &mailReport{
		Family: m.family, Auth: m.auth.String(),
		Client: m.client.Addr().String(), Server: m.server.Addr().String(),
		Differences: []string{},
	}
	r.Mails = append(r.Mails, added)
	return added
}

func (r *demoReport) begin(out io.Writer, w *world, pools []poolState) {
	r.Link, r.Pools = w.kind, pools
	if r.NoTUN != "" {
		fmt.Fprintf(out, "There is no TUN device here: %s.\nThe network in memory takes its place.\n\n", r.NoTUN)
	}
	fmt.Fprintf(out, "The link is %s.\n", w.where)
	for _, p := range pools {
		fmt.Fprintf(out, "%s: %d packets of %d bytes.\n", p.Name, p.Packets, p.Payload)
	}
}

func (r *demoReport) showMail(out io.Writer, i int) {
	m := r.Mails[i]
	fmt.Fprintf(out, "\nMail %d of %d: %s, AUTH %s\n\n", i+1, len(demoMails), m.Family, m.Auth)
	p := ladder.NewPrinter(out, terminalWidth(out))
	p.Head("client "+m.Client, "server "+m.Server)
	p.Print(m.Rows, 0)
	fmt.Fprintln(out)
	s := m.Summary
	fmt.Fprintf(out, "%d segments sent, %d with data (%s); %d received, %d with data; %.1f ms.\n",
		s.Sent.Segments, s.Sent.Data, again(s.Sent.Again), s.Received.Segments, s.Received.Data,
		float64(m.Took.Microseconds())/1000)
	for reason, n := range s.Drops {
		fmt.Fprintf(out, "Dropped %d: %s.\n", n, reason)
	}
	if len(m.Differences) == 0 {
		fmt.Fprintln(out, "The server stored what was sent, byte for byte.")
	}
	for _, d := range m.Differences {
		fmt.Fprintf(out, "NOT what was sent: %s.\n", d)
	}
}

func again(n int) string {
	if n == 0 {
		return "none sent again"
	}
	return fmt.Sprintf("%d of them sent again", n)
}

func (r *demoReport) end(out io.Writer, lowest map[string]int) {
	settle(r.Pools, lowest)
	fmt.Fprintln(out)
	showPools(out, r.Pools)
}

// conclude prints the last line.
func (r *demoReport) conclude(out io.Writer) {
	if r.OK {
		fmt.Fprintln(out, "\nBoth mails arrived as they were sent, and both pools are full again.")
	}
}

// showPools prints the pools as a table.
func showPools(out io.Writer, pools []poolState) {
	const row = "%-26s%8v%8v%8v%8v%13v\n"
	fmt.Fprintf(out, row, "free packets", "before", "lowest", "after", "of", "found empty")
	for _, p := range pools {
		fmt.Fprintf(out, row, p.Name, p.Before, p.Lowest, p.After, p.Packets, p.Empty)
	}
}

// verdict is nil only if both mails arrived intact and both pools are full.
func (r *demoReport) verdict() error {
	var wrong []string
	if len(r.Mails) != len(demoMails) {
		wrong = append(wrong, "a mail was not sent")
	}
	for _, m := range r.Mails {
		if len(m.Differences) > 0 {
			wrong = append(wrong, "the mail over "+m.Family+" is not what was sent")
		}
	}
	if !full(r.Pools) {
		wrong = append(wrong, "packets are missing from a pool")
	}
	if r.OK = len(wrong) == 0; r.OK {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

// relay passes events on to whoever looks at the mail of the moment, and keeps
// an eye on the pools all the time. It implements nx.Recorder.
type relay struct {
	mail  atomic.Pointer[ladder.Recorder]
	pools *ladder.Recorder
}

func newRelay() *relay { return &relay{pools: ladder.New(false)} }

// to says who looks; nil: nobody.
func (l *relay) to(r *ladder.Recorder) { l.mail.Store(r) }

// Record implements nx.Recorder.
func (l *relay) Record(e nx.Event) {
	switch e.(type) {
	case nx.PacketEvent, nx.PoolEmptyEvent:
		l.pools.Record(e)
	default:
		if r := l.mail.Load(); r != nil {
			r.Record(e)
		}
	}
}

// lowest are the free packets that were seen least, by pool.
func (l *relay) lowest() map[string]int { return l.pools.Summary().Lowest }
