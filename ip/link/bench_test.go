package link_test

import (
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/count"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/linktest"
	"gonetx/packetpool/nxtest"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func BenchmarkDissect(b *testing.B) {
	frame := linktest.TCP(here6, there6, 1, 1, header.TCPFlagAck, make([]byte, 1400))
	b.ReportAllocs()
	for b.Loop() {
		link.Dissect(frame, len(frame))
	}
}

func BenchmarkHeaderBytes(b *testing.B) {
	frame := linktest.TCP(here6, there6, 1, 1, header.TCPFlagAck, make([]byte, 1400))
	pieces := [][]byte{frame}
	b.ReportAllocs()
	for b.Loop() {
		link.HeaderBytes(pieces, len(frame))
	}
}

// A frame from the device through a wrapper to a stack that forgets it, in
// packets of a pool where the wrapper allows that.
func BenchmarkArrive(b *testing.B) {
	for _, c := range []struct {
		name string
		wrap func(link.Driver) link.Driver
	}{
		{"bare", func(d link.Driver) link.Driver { return d }},
		{"count", func(d link.Driver) link.Driver { return count.Wrap(d) }},
		{"fault", func(d link.Driver) link.Driver { return fault.Wrap(d, fault.Config{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			device := &linktest.Device{}
			e, err := c.wrap(device).Open(link.Attachment{Pool: nxtest.NewPool(b, 1536, 64)})
			if err != nil {
				b.Fatal(err)
			}
			e.Attach(linktest.Forgetful{})
			frame := linktest.TCP(here4, there4, 1, 1, header.TCPFlagAck, make([]byte, 1400))
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				device.Arrive(frame)
			}
			e.Stop()
			_ = e.Release()
		})
	}
}
