package inetd

import (
	"context"
	"errors"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// connection is a connected socket. Its methods end with the error that ended
// the connection.
type connection struct {
	socket *tcp.Socket
	pool   *packetpool.Pool
	room   packetpool.PacketType // for headers
	ctx    context.Context
}

func roomFor(socket *tcp.Socket) packetpool.PacketType {
	if address, _, err := tcp.SocketPeerInfoGet(socket); err == nil && address.Is4() {
		return packetpool.IPv4TCPPacket
	}
	return packetpool.IPv6TCPPacket
}

// receive waits for the next message.
func (c *connection) receive() (packetpool.Packet, error) {
	return tcp.SocketReceive(c.socket, nx.WaitForever)
}

// send sends a message, which is the stack's or free afterwards.
func (c *connection) send(packet packetpool.Packet) error {
	for {
		err := tcp.SocketSend(c.socket, packet, nx.Ticks(breath))
		if err == nil {
			return nil
		}
		if c.ctx.Err() != nil || !fullForNow(err) {
			_ = packetpool.Release(packet)
			return err
		}
	}
}

// fullForNow tells that a send is to be tried again: what is left in the
// packet is the rest.
func fullForNow(err error) bool {
	return errors.Is(err, nx.WindowOverflow) || errors.Is(err, nx.TxQueueDepth) || errors.Is(err, nx.NoPacket)
}

// allocate waits for a packet and fills it.
func (c *connection) allocate(data []byte) (packetpool.Packet, error) {
	packet, err := packetpool.AllocateContext(c.ctx, c.pool, c.room, nx.WaitForever)
	if err != nil {
		return packet, err
	}
	if err := packetpool.DataAppendContext(c.ctx, packet, data, c.pool, nx.WaitForever); err != nil {
		_ = packetpool.Release(packet)
		return packet, err
	}
	return packet, nil
}

// echo sends back what comes. What came in the instance's packets goes out in
// those of the services' pool: a server that sends out of the pool that
// acknowledgements come into may stop itself, when nobody reads.
func (c *connection) echo() error {
	for {
		packet, err := c.receive()
		if err != nil {
			return err
		}
		if packet, err = c.repack(packet); err != nil {
			return err
		}
		if err := c.send(packet); err != nil {
			return err
		}
	}
}

// repack copies a message to packets of the services' pool, and releases it.
func (c *connection) repack(packet packetpool.Packet) (packetpool.Packet, error) {
	defer func() { _ = packetpool.Release(packet) }()
	length, err := packetpool.LengthGet(packet)
	if err != nil {
		return packetpool.Packet{}, err
	}
	data := make([]byte, length)
	if _, err := packetpool.DataRetrieve(packet, data); err != nil {
		return packetpool.Packet{}, err
	}
	return c.allocate(data)
}

// discard throws away what comes.
func (c *connection) discard() error {
	for {
		packet, err := c.receive()
		if err != nil {
			return err
		}
		_ = packetpool.Release(packet)
	}
}

// discardNow throws away what has come.
func (c *connection) discardNow() {
	for {
		packet, err := tcp.SocketReceive(c.socket, nx.NoWait)
		if err != nil {
			return
		}
		_ = packetpool.Release(packet)
	}
}

// daytime tells the time, and closes.
func (c *connection) daytime() error {
	packet, err := c.allocate([]byte(time.Now().Format("Monday, January 2, 2006 15:04:05-MST") + "\r\n"))
	if err != nil {
		return err
	}
	return c.send(packet)
}

// chargen sends the pattern that RFC 864 recommends, for as long as somebody
// reads. Each message fills a segment and a packet.
func (c *connection) chargen() error {
	mss, err := tcp.SocketMSSGet(c.socket)
	if err != nil {
		return err
	}
	size := int(min(mss, c.pool.PayloadSize()-min(uint32(c.room), c.pool.PayloadSize()-1)))
	data := make([]byte, size)
	for at := 0; ; at = (at + size) % len(pattern) {
		c.discardNow()
		for n := 0; n < size; {
			n += copy(data[n:], pattern[(at+n)%len(pattern):])
		}
		packet, err := c.allocate(data)
		if err != nil {
			return err
		}
		if err := c.send(packet); err != nil {
			return err
		}
	}
}

// pattern is 95 lines of 72 of the 95 printing characters, each line beginning
// one character later.
var pattern = func() []byte {
	const printing, width = 95, 72
	var all []byte
	for line := range printing {
		for column := range width {
			all = append(all, byte(' '+(line+column)%printing))
		}
		all = append(all, "\r\n"...)
	}
	return all
}()
