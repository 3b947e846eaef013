package packetpool_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is a slow and obvious account of two pools: a message is one flat slice
// of bytes with a room in front, and packets are only counted. It follows from
// the description of the services, not from how they are made.
type model struct {
	pools    [2]*modelPool
	messages []*modelMessage
}

type modelPool struct {
	pool           *packetpool.Pool
	payload        int
	total, free    int
	empty, invalid int
}

type modelMessage struct {
	packet packetpool.Packet
	first  *modelPool
	room   int
	data   []byte
	parts  []modelPart // its packets, the first one with the room
	queued bool
	copied bool // and empty
	gone   bool // released, or its handle given away
}

type modelPart struct {
	pool     *modelPool
	from, to int  // of the payload
	bare     bool // the stack has a copy: there is no payload any more
}

func (p *modelPart) room() int {
	if p.bare {
		return 0
	}
	return p.pool.payload - p.to
}

// lay lays n bytes behind the message, in packets that pool gives; it answers
// the parts, and whether the pool has enough.
func (m *modelMessage) lay(n int, pool *modelPool) ([]modelPart, bool) {
	parts := append([]modelPart(nil), m.parts...)
	last := &parts[len(parts)-1]
	k := min(n, last.room())
	last.to += k
	n -= k
	taken := 0
	for ; n > 0; n -= min(n, pool.payload) {
		parts = append(parts, modelPart{pool: pool, to: min(n, pool.payload)})
		taken++
	}
	return parts, taken <= pool.free
}

func (m *modelMessage) fragments() []packetpool.Fragment {
	var list []packetpool.Fragment
	for _, p := range m.parts {
		list = append(list, packetpool.Fragment{Room: p.from, Data: p.to - p.from, Behind: p.room()})
	}
	return list
}

func newModel(t require.TestingT, payloads, totals [2]int) *model {
	m := &model{}
	for i := range m.pools {
		pool := new(packetpool.Pool)
		require.NoError(t, packetpool.PoolCreate(pool, "model", uint32(payloads[i]), uint32(totals[i]*(60+(payloads[i]+3)/4*4))))
		m.pools[i] = &modelPool{pool: pool, payload: payloads[i], total: totals[i], free: totals[i]}
	}
	return m
}

func (m *model) end(t require.TestingT) {
	for _, message := range m.messages {
		if message.queued {
			require.NoError(t, packetpool.Dequeue(message.packet))
		} else if !message.gone {
			require.NoError(t, packetpool.Release(message.packet))
		}
	}
	for _, p := range m.pools {
		info, err := packetpool.PoolInfoGet(p.pool)
		require.NoError(t, err)
		require.Equal(t, info.TotalPackets, info.FreePackets, "every packet came back")
		require.NoError(t, packetpool.PoolDelete(p.pool))
	}
}

// check compares everything that can be seen.
func (m *model) check(t require.TestingT) {
	for _, p := range m.pools {
		info, err := packetpool.PoolInfoGet(p.pool)
		require.NoError(t, err)
		require.Equal(t, packetpool.PoolInfo{
			TotalPackets: uint32(p.total), FreePackets: uint32(p.free),
			EmptyPoolRequests: uint32(p.empty), InvalidPacketReleases: uint32(p.invalid),
		}, info)
		held := 0
		for _, h := range p.pool.Holders() {
			held += h.Packets
		}
		require.Equal(t, p.total, p.free+held, "holders and free packets are all packets")
	}
	for _, message := range m.messages {
		if message.gone {
			require.Nil(t, packetpool.Fragments(message.packet))
			continue
		}
		require.Equal(t, message.fragments(), packetpool.Fragments(message.packet))
		n, err := packetpool.LengthGet(message.packet)
		require.NoError(t, err)
		require.EqualValues(t, len(message.data), n)
		got := make([]byte, len(message.data)+1)
		n, err = packetpool.DataRetrieve(message.packet, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(message.data, got[:n]))
	}
}

func (m *model) allocate(t require.TestingT, pool, packetType int) {
	p := m.pools[pool]
	packet, err := packetpool.Allocate(p.pool, packetpool.PacketType(packetType), nx.NoWait)
	switch {
	case packetType%4 != 0:
		require.ErrorIs(t, err, nx.OptionError)
	case packetType > p.payload:
		require.ErrorIs(t, err, nx.InvalidParameters)
	case p.free == 0:
		p.empty++
		require.ErrorIs(t, err, nx.NoPacket)
	default:
		require.NoError(t, err)
		p.free--
		m.messages = append(m.messages, &modelMessage{packet: packet, first: p, room: packetType, parts: []modelPart{{pool: p, from: packetType, to: packetType}}})
	}
}

func (m *model) append(t require.TestingT, at, pool, size int, seed byte) {
	message, p := m.messages[at], m.pools[pool]
	data := make([]byte, size)
	for i := range data {
		data[i] = seed + byte(i)
	}
	err := packetpool.DataAppend(message.packet, data, p.pool, nx.NoWait)
	switch {
	case message.gone:
		require.ErrorIs(t, err, nx.PtrError)
		return
	case size == 0:
		require.ErrorIs(t, err, nx.SizeError)
		return
	}
	parts, enough := message.lay(size, p)
	if !enough {
		p.empty++
		require.ErrorIs(t, err, nx.NoPacket)
		return
	}
	require.NoError(t, err)
	p.free -= len(parts) - len(message.parts)
	message.parts, message.data = parts, append(message.data, data...)
}

func (m *model) extract(t require.TestingT, at, offset, size int) {
	message := m.messages[at]
	got := make([]byte, size)
	n, err := packetpool.DataExtractOffset(message.packet, uint32(offset), got)
	switch {
	case message.gone:
		require.ErrorIs(t, err, nx.PtrError)
	case offset == 0 && len(message.data) == 0:
		require.NoError(t, err)
		require.Zero(t, n)
	case offset >= len(message.data):
		require.ErrorIs(t, err, nx.PacketOffsetError)
	default:
		require.NoError(t, err)
		require.True(t, bytes.Equal(message.data[offset:min(offset+size, len(message.data))], got[:n]))
	}
}

func (m *model) copy(t require.TestingT, at, pool int) {
	message, p := m.messages[at], m.pools[pool]
	packet, err := packetpool.Copy(message.packet, p.pool, nx.NoWait)
	if message.gone {
		require.ErrorIs(t, err, nx.PtrError)
		return
	}
	if len(message.data) == 0 {
		require.ErrorIs(t, err, nx.InvalidPacket)
		return
	}
	// A trimmed message may have packets without data; a copy has them not.
	room := message.parts[0].from
	fresh := &modelMessage{packet: packet, first: p, room: room, parts: []modelPart{{pool: p}}}
	p.free--
	parts, enough := fresh.lay(room+len(message.data), p)
	p.free++
	if !enough || p.free == 0 {
		p.empty++
		require.ErrorIs(t, err, nx.NoPacket)
		return
	}
	if room > p.payload {
		require.ErrorIs(t, err, nx.InvalidParameters)
		return
	}
	require.NoError(t, err)
	p.free -= len(parts)
	parts[0].from = room
	fresh.parts, fresh.data = parts, append([]byte(nil), message.data...)
	m.messages = append(m.messages, fresh)
}

func (m *model) release(t require.TestingT, at int, transmitted bool) {
	message := m.messages[at]
	release := packetpool.Release
	if transmitted {
		release = packetpool.TransmitRelease
	}
	err := release(message.packet)
	switch {
	case message.queued && transmitted:
		require.NoError(t, err)
	case message.gone || message.queued:
		message.first.invalid++
		require.ErrorIs(t, err, nx.PtrError)
	default:
		require.NoError(t, err)
		m.givenBack(message)
	}
}

func (m *model) givenBack(message *modelMessage) {
	for _, part := range message.parts {
		part.pool.free++
	}
	message.gone, message.queued = true, false
}

// pass gives a message to a transmit queue, or takes it from there.
func (m *model) pass(t require.TestingT, at int, back, copied bool) {
	message := m.messages[at]
	owner := packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "model"}
	var packet packetpool.Packet
	var err error
	switch {
	case back:
		packet, err = packetpool.HandBack(message.packet)
	case copied:
		packet, err = packetpool.EnqueueCopied(message.packet, owner)
	default:
		packet, err = packetpool.Enqueue(message.packet, owner)
	}
	if message.gone || message.queued != back || back && message.copied {
		require.ErrorIs(t, err, nx.PtrError)
		return
	}
	require.NoError(t, err)
	next := *message
	next.packet, next.queued = packet, !back
	if next.copied = copied && !back; next.copied {
		next.room, next.data, next.parts = 0, nil, nil
		for _, p := range message.parts {
			next.parts = append(next.parts, modelPart{pool: p.pool, bare: true})
		}
	}
	message.gone, message.queued = true, false
	m.messages = append(m.messages, &next)
}

func (m *model) dequeue(t require.TestingT, at int) {
	message := m.messages[at]
	err := packetpool.Dequeue(message.packet)
	if !message.queued {
		require.ErrorIs(t, err, nx.PtrError)
		return
	}
	require.NoError(t, err)
	m.givenBack(message)
}

func (m *model) trim(t require.TestingT, at, n int) {
	message := m.messages[at]
	err := packetpool.Trim(message.packet, uint32(n))
	switch {
	case message.gone:
		require.ErrorIs(t, err, nx.PtrError)
	case n > len(message.data):
		require.ErrorIs(t, err, nx.SizeError)
	default:
		require.NoError(t, err)
		message.data = message.data[n:]
		for i := range message.parts {
			part := &message.parts[i]
			k := min(n, part.to-part.from)
			part.from += k
			n -= k
		}
	}
}

// step makes one call, chosen by four numbers. Every number is good for
// something, so that a fuzzer wastes none.
func (m *model) step(t require.TestingT, op byte, who byte, pool byte, n int) {
	p := int(pool) % 2
	if len(m.messages) == 0 || op%10 == 0 {
		m.allocate(t, p, n%120)
		return
	}
	at := int(who) % len(m.messages)
	switch op % 10 {
	case 1, 2, 3:
		m.append(t, at, p, n, who)
	case 4:
		m.extract(t, at, n%300, int(pool))
	case 5:
		m.copy(t, at, p)
	case 6:
		m.release(t, at, pool > 127)
	case 7:
		m.pass(t, at, pool > 127, pool%2 == 1)
	case 8:
		m.dequeue(t, at)
	case 9:
		m.trim(t, at, n%200)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{1, 4, 16, 57, 64, 97, 128, 300})
		count := rapid.IntRange(1, 12)
		m := newModel(t, [2]int{size.Draw(t, "payload"), size.Draw(t, "payload")}, [2]int{count.Draw(t, "packets"), count.Draw(t, "packets")})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.step(t, rapid.Byte().Draw(t, "op"), rapid.Byte().Draw(t, "who"), rapid.Byte().Draw(t, "pool"), rapid.IntRange(0, 700).Draw(t, "n"))
			m.check(t)
		}
		m.end(t)
	})
}

// FuzzServices drives the same model with bytes: two payloads, two counts, and
// five bytes for each call.
func FuzzServices(f *testing.F) {
	f.Add([]byte{100, 10, 3, 2})
	for _, find := range finds {
		f.Add(find.calls)
	}
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) < 4 || len(calls) > 4+5*80 {
			return
		}
		play(t, calls)
	})
}

func play(t require.TestingT, calls []byte) {
	m := newModel(t, [2]int{1 + int(calls[0]), 1 + int(calls[1])}, [2]int{1 + int(calls[2])%16, 1 + int(calls[3])%16})
	for calls = calls[4:]; len(calls) >= 5; calls = calls[5:] {
		m.step(t, calls[0], calls[1], calls[2], int(binary.BigEndian.Uint16(calls[3:])%1024))
		m.check(t)
	}
	m.end(t)
}

// finds are sequences worth keeping: each was a difference once, or is a corner
// that a random one seldom reaches.
var finds = []struct {
	name  string
	calls []byte
}{
	{"append that exactly fills the pool", []byte{99, 9, 2, 1, 0, 0, 0, 0, 56, 1, 0, 0, 0, 244, 6, 0, 0, 0, 0}},
	{"packet without room for data, then one byte", []byte{3, 9, 2, 2, 0, 0, 0, 0, 4, 1, 0, 0, 0, 1, 5, 0, 1, 0, 0}},
	{"copy whose room does not fit the new pool", []byte{99, 9, 3, 15, 0, 0, 0, 0, 76, 1, 0, 0, 0, 10, 5, 0, 1, 0, 0}},
	{"copy of a message that was trimmed to its second packet", []byte{9, 9, 9, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 25, 9, 0, 0, 0, 15, 5, 0, 1, 0, 0}},
	{"release of the handle before a send", []byte{99, 9, 3, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 6, 0, 0, 0, 0, 6, 1, 0, 0, 0, 8, 1, 0, 0, 0}},
	{"packets of the other pool behind", []byte{9, 19, 3, 3, 0, 0, 0, 0, 0, 1, 0, 1, 0, 45, 1, 0, 0, 0, 30, 6, 0, 0, 0, 0}},
}

func TestFinds(t *testing.T) {
	for _, find := range finds {
		t.Run(find.name, func(t *testing.T) { play(t, find.calls) })
	}
}

// FuzzPoolCreate looks for sizes that crash, or make a pool that is not as the
// formula says.
func FuzzPoolCreate(f *testing.F) {
	f.Add(uint32(800), uint32(8000), uint32(0), uint32(0))
	f.Add(uint32(math.MaxUint32), uint32(2000), uint32(104), uint32(4))
	f.Add(uint32(math.MaxUint32-62), uint32(math.MaxUint32), uint32(60), uint32(64))
	f.Fuzz(func(t *testing.T, payload, memory, packetSize, alignment uint32) {
		pool := &packetpool.Pool{Config: &packetpool.Config{PacketSize: packetSize, PacketAlignment: alignment}}
		err := packetpool.PoolCreate(pool, "fuzz", payload, memory)
		if err != nil {
			require.ErrorIs(t, err, nx.SizeError)
			return
		}
		info, err := packetpool.PoolInfoGet(pool)
		require.NoError(t, err)
		require.NotZero(t, info.TotalPackets)
		require.LessOrEqual(t, uint64(info.TotalPackets)*uint64(payload), uint64(memory))
		if payload <= 1<<20 {
			p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
			require.NoError(t, err)
			require.NoError(t, packetpool.Release(p))
		}
		require.NoError(t, packetpool.PoolDelete(pool))
	})
}
