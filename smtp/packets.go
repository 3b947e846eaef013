package smtp

import (
	"errors"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// Everything that leaves travels in packets of the client's pool
// (_nx_smtp_utility_send_to_server). A failed allocation and a failed append
// leave their mark in the mail status, as in NetX Duo.

// command sends one command line.
func (s *session) command(line string) error {
	s.recordCommand(line, len(line)+2)
	return s.sendLine(line)
}

// secret sends a line that no event shows.
func (s *session) secret(line string) error {
	s.recordCommand(blotted, len(line)+2)
	return s.sendLine(line)
}

func (s *session) sendLine(line string) error {
	s.buffer = append(append(s.buffer[:0], line...), "\r\n"...)
	return s.sendPacket(s.buffer)
}

// sendPacket sends data in one packet, chained as needed.
func (s *session) sendPacket(data []byte) error {
	packet, err := s.allocate()
	if err != nil {
		return err
	}
	if err := s.append(packet, data); err != nil {
		_ = packetpool.Release(packet)
		return err
	}
	return s.t.send(packet, s.config.SendTimeout)
}

// allocate takes a packet with room for the headers.
func (s *session) allocate() (packet packetpool.Packet, err error) {
	if s.as(CreateUnchecked) && uint32(s.packetType) > s.payload {
		err = nx.Fail("packetpool.Allocate", nx.InvalidParameters, nil)
	} else {
		err = s.whileBusy(func() error {
			packet, err = packetpool.AllocateContext(s.ctx, s.pool, s.packetType, s.config.PacketTimeout)
			return err
		})
	}
	if err != nil {
		s.info.MailStatus = PacketAllocateError
	}
	return packet, err
}

// append adds data to a packet that is not sent yet.
func (s *session) append(packet packetpool.Packet, data []byte) error {
	err := s.whileBusy(func() error {
		return packetpool.DataAppendContext(s.ctx, packet, data, s.pool, s.config.PacketTimeout)
	})
	if err != nil {
		s.info.MailStatus = InternalError
	}
	return err
}

// whileBusy repeats a service that found the pool empty while packets of this
// session are on their way: they come back as the peer acknowledges them.
func (s *session) whileBusy(service func() error) error {
	deadline := s.clock.Now() + s.config.SendTimeout.Duration()
	for {
		err := service()
		if err == nil || s.as(BusyPoolIsEmpty) || !errors.Is(err, nx.NoPacket) ||
			!s.t.inFlight() || s.ctx.Err() != nil || s.clock.Now() >= deadline {
			return err
		}
	}
}

// chunker is an io.Writer that sends what it is given in packets of limit
// bytes each.
type chunker struct {
	s      *session
	limit  int
	packet packetpool.Packet // the one being filled
	used   int               // bytes in it; 0: there is none
}

func (c *chunker) Write(data []byte) (int, error) {
	total := len(data)
	for len(data) > 0 {
		n := min(len(data), c.limit-c.used)
		if err := c.add(data[:n]); err != nil {
			return total - len(data), err
		}
		data = data[n:]
		if c.used == c.limit {
			if err := c.flush(); err != nil {
				return total - len(data), err
			}
		}
	}
	return total, nil
}

func (c *chunker) add(data []byte) error {
	if c.used == 0 {
		packet, err := c.s.allocate()
		if err != nil {
			return err
		}
		c.packet = packet
	}
	if err := c.s.append(c.packet, data); err != nil {
		_ = packetpool.Release(c.packet)
		c.used = 0
		return err
	}
	c.used += len(data)
	return nil
}

// fits tells whether text can go into the packet that is being filled.
func (c *chunker) fits(text string) bool { return c.used+len(text) <= c.limit }

// writeLast sends text and all that is not sent yet.
func (c *chunker) writeLast(text string) error {
	if err := c.add([]byte(text)); err != nil {
		return err
	}
	return c.flush()
}

// flush sends what is not sent yet.
func (c *chunker) flush() error {
	if c.used == 0 {
		return nil
	}
	c.used = 0
	return c.s.t.send(c.packet, c.s.config.SendTimeout)
}

// drop releases what is not sent yet.
func (c *chunker) drop() {
	if c.used > 0 {
		_ = packetpool.Release(c.packet)
		c.used = 0
	}
}
