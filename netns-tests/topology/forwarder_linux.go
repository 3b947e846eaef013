package topology

import (
	"errors"
	"fmt"
	"net/netip"

	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Forwarder is a cable that this process is: a TUN device at each end, and two
// readers that pass the frames of one on to the other, through a fault wrapper.
// So the wire between two kernels can be made as bad as that of a stack, by the
// same words, whether the kernel has netem or not.
type Forwarder struct {
	// Faults may be changed while traffic flows. What is sent from the first end
	// to the second is "out".
	Faults *fault.Driver

	ends [2]link.Endpoint
}

// end is one end of a forwarder: a host, and what its device is called there.
type end struct {
	host      *Host
	name      string
	addresses []netip.Prefix
}

// forward lays the cable. The recorder, which may be nil, sees what the faults
// do.
func forward(a, b end, faults fault.Config, recorder nx.Recorder) (*Forwarder, error) {
	f := &Forwarder{}
	drivers := [2]link.Driver{a.driver(), b.driver()}
	f.Faults = fault.Wrap(drivers[1], faults)
	drivers[1] = f.Faults
	for i, d := range drivers {
		e, err := d.Open(link.Attachment{Instance: "forwarder", Recorder: recorder, WireSegments: "the forwarder"})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect the %s with the %s: %w", a.host.Name, b.host.Name, err), f.Close())
		}
		f.ends[i] = e
	}
	f.ends[0].Attach(passing{f.ends[1]})
	f.ends[1].Attach(passing{f.ends[0]})
	return f, nil
}

func (e end) driver() link.Driver {
	return tun.New(tun.Config{Name: e.name, Addresses: e.addresses, Namespace: e.host.Path(), Spin: -1})
}

// Close ends the readers and takes the devices away.
func (f *Forwarder) Close() error {
	var errs []error
	for _, e := range f.ends {
		if e != nil {
			e.Stop()
		}
	}
	for _, e := range f.ends {
		if e != nil {
			errs = append(errs, e.Release())
		}
	}
	return errors.Join(errs...)
}

// passing hands the frames of one end to the other. It implements
// stack.NetworkDispatcher.
type passing struct{ to link.Endpoint }

func (p passing) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	copied := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(link.Bytes(pkt))})
	defer copied.DecRef()
	copied.NetworkProtocolNumber = protocol
	var list stack.PacketBufferList
	list.PushBack(copied)
	_, _ = p.to.WritePackets(list) // what the device does not take is counted by it
}

func (passing) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
