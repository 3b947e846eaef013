package main

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

// pingReport is what "nxduo ping" tells at its end.
type pingReport struct {
	Host     string        `json:"host,omitempty"` // when it was given by name
	Address  netip.Addr    `json:"address"`
	Source   netip.Addr    `json:"source"`
	Size     uint          `json:"size"`
	Replies  []pingLine    `json:"replies"`
	Sent     uint          `json:"sent"`
	Received uint          `json:"received"`
	Loss     float64       `json:"loss_percent"`
	Min      float64       `json:"min_ms"`
	Avg      float64       `json:"avg_ms"`
	Max      float64       `json:"max_ms"`
	Mdev     float64       `json:"mdev_ms"`
	Took     time.Duration `json:"took_ns"`
	Error    string        `json:"error,omitempty"`
}

// pingLine is what became of one request.
type pingLine struct {
	Sequence uint16     `json:"seq"`
	From     netip.Addr `json:"from"` // who answered, also with an error
	Bytes    uint       `json:"bytes,omitempty"`
	TTL      uint8      `json:"ttl,omitempty"`
	Time     float64    `json:"time_ms,omitempty"`
	Error    string     `json:"error,omitempty"`

	took  time.Duration
	fatal error // nothing more can be sent
}

func (l pingLine) text(timeout time.Duration) string {
	switch l.Error {
	case "":
		return fmt.Sprintf("%d bytes from %s: icmp_seq=%d ttl=%d time=%s ms", l.Bytes, l.From, l.Sequence, l.TTL, milliseconds(l.took))
	case "no answer":
		return fmt.Sprintf("icmp_seq=%d: no answer within %s", l.Sequence, timeout)
	}
	return fmt.Sprintf("icmp_seq=%d: %s", l.Sequence, l.Error)
}

// milliseconds shows three digits that count, as the familiar tool does.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.3f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func (r *pingReport) add(l pingLine) {
	l.Time = float64(l.took) / float64(time.Millisecond)
	r.Replies = append(r.Replies, l)
}

// conclude makes the sums.
func (r *pingReport) conclude() {
	r.Received = 0
	sum, squares := 0.0, 0.0
	r.Min, r.Max = math.Inf(1), 0
	for _, l := range r.Replies {
		if l.Error != "" {
			continue
		}
		r.Received++
		sum += l.Time
		squares += l.Time * l.Time
		r.Min, r.Max = min(r.Min, l.Time), max(r.Max, l.Time)
	}
	if r.Sent > 0 {
		r.Loss = 100 * float64(r.Sent-r.Received) / float64(r.Sent)
	}
	if r.Received == 0 {
		r.Min = 0
		return
	}
	n := float64(r.Received)
	r.Avg = sum / n
	r.Mdev = math.Sqrt(max(0, squares/n-r.Avg*r.Avg))
}

func (r *pingReport) name() string {
	if r.Host != "" {
		return r.Host
	}
	return r.Address.String()
}

func (r *pingReport) head() string {
	headers := uint(20 + 8)
	if r.Address.Is6() {
		headers = 40 + 8
	}
	return fmt.Sprintf("PING %s (%s) from %s: %d(%d) bytes of data.\n", r.name(), r.Address, r.Source, r.Size, r.Size+headers)
}

func (r *pingReport) summary() string {
	var b strings.Builder
	failed := 0
	for _, l := range r.Replies {
		if l.Error != "" && l.Error != "no answer" {
			failed++
		}
	}
	fmt.Fprintf(&b, "\n--- %s ping statistics ---\n%d packets transmitted, %d received", r.name(), r.Sent, r.Received)
	if failed > 0 {
		fmt.Fprintf(&b, ", +%d errors", failed)
	}
	fmt.Fprintf(&b, ", %.4g%% packet loss, time %dms\n", r.Loss, r.Took.Milliseconds())
	if r.Received > 0 {
		fmt.Fprintf(&b, "rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", r.Min, r.Avg, r.Max, r.Mdev)
	}
	return b.String()
}
