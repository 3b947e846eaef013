package packetpool_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The services of NetX Duo and what they are here: nothing is missing, nothing
// is renamed (module.Rest of nx_packet_rest).
func TestEveryServiceIsThere(t *testing.T) {
	services := map[string]string{
		"nx_packet_allocate":               "Allocate",
		"nx_packet_copy":                   "Copy",
		"nx_packet_data_append":            "DataAppend",
		"nx_packet_data_extract_offset":    "DataExtractOffset",
		"nx_packet_data_retrieve":          "DataRetrieve",
		"nx_packet_length_get":             "LengthGet",
		"nx_packet_pool_create":            "PoolCreate",
		"nx_packet_pool_delete":            "PoolDelete",
		"nx_packet_pool_info_get":          "PoolInfoGet",
		"nx_packet_pool_low_watermark_set": "PoolLowWatermarkSet",
		"nx_packet_release":                "Release",
		"nx_packet_transmit_release":       "TransmitRelease",
		"nx_packet_vlan_priority_set":      "VLANPrioritySet",
	}
	docs := map[string]string{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() && !strings.HasSuffix(name, "_test.go") {
				docs[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	for service, name := range services {
		assert.Contains(t, strings.ReplaceAll(docs[name], "\n", " "), service, "%s says which service it is", name)
		assert.Contains(t, docs[name], "Errors", "%s lists its errors", name)
	}
}

// dead answers a pool that was deleted, and a packet of it.
func dead(t *testing.T) (*packetpool.Pool, packetpool.Packet) {
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "dead", 100, 4*160))
	p := take(t, pool, packetpool.ReceivePacket)
	require.NoError(t, packetpool.DataAppend(p, []byte("dead"), pool, nx.NoWait))
	require.NoError(t, packetpool.PoolDelete(pool))
	t.Cleanup(func() { assert.ErrorIs(t, packetpool.Release(p), nx.PtrError) })
	return pool, p
}

func take(t testing.TB, pool *packetpool.Pool, packetType packetpool.PacketType) packetpool.Packet {
	t.Helper()
	p, err := packetpool.Allocate(pool, packetType, nx.NoWait)
	require.NoError(t, err)
	return p
}

func message(t testing.TB, pool *packetpool.Pool, packetType packetpool.PacketType, n int) packetpool.Packet {
	t.Helper()
	p := take(t, pool, packetType)
	require.NoError(t, packetpool.DataAppend(p, counting(n), pool, nx.NoWait))
	return p
}

func stale(t testing.TB, pool *packetpool.Pool) packetpool.Packet {
	t.Helper()
	p := take(t, pool, packetpool.ReceivePacket)
	require.NoError(t, packetpool.Release(p))
	return p
}

// status asserts a status; the error names the service.
func status(t testing.TB, want nx.Status, service string, err error, what ...any) {
	t.Helper()
	if want == nx.Success {
		assert.NoError(t, err, what...)
		return
	}
	if assert.ErrorIs(t, err, want, what...) {
		var e *nx.Error
		assert.ErrorAs(t, err, &e)
		assert.Equal(t, "packetpool."+service, e.Service, what...)
	}
}

func TestPoolCreate(t *testing.T) {
	status(t, nx.PtrError, "PoolCreate", packetpool.PoolCreate(nil, "x", 100, 1000))
	for _, row := range []struct {
		payload, memory uint32
		config          *packetpool.Config
		packets         uint32 // 0: NX_SIZE_ERROR
	}{
		{0, 1000, nil, 0},
		{100, 0, nil, 0},
		{100, 4, nil, 0},
		{1, 63, nil, 0},
		{1, 64, nil, 1},
		{100, 159, nil, 0},
		{100, 160, nil, 1},
		{100, 161, nil, 1},
		{100, 1600, nil, 10},
		{13, 1000, nil, 13}, // 60 + 16
		{512, 2048, nil, 3}, // the IP pool of the SMTP sample
		{800, 8000, nil, 9}, // its client pool
		{128, 2048, nil, 10},
		{1536, (60 + 1536) * 16, nil, 16},
		{800, 8000, &packetpool.Config{PacketSize: 104}, 8}, // with 8-byte pointers
		{13, 1000, &packetpool.Config{PacketSize: 104}, 8},
		{13, 1000, &packetpool.Config{PacketAlignment: 64}, 7}, // 64 + 64, of 960 bytes
		{math.MaxUint32, 2000, nil, 0},
		{math.MaxUint32 - 62, 2000, nil, 0}, // header and payload make 2^32
		{math.MaxUint32, math.MaxUint32, nil, 0},
	} {
		pool := &packetpool.Pool{Config: row.config}
		err := packetpool.PoolCreate(pool, "x", row.payload, row.memory)
		if row.packets == 0 {
			status(t, nx.SizeError, "PoolCreate", err, "%+v", row)
			continue
		}
		require.NoError(t, err, "%+v", row)
		info, err := packetpool.PoolInfoGet(pool)
		require.NoError(t, err)
		assert.Equal(t, packetpool.PoolInfo{TotalPackets: row.packets, FreePackets: row.packets}, info, "%+v", row)
		assert.Equal(t, row.payload, pool.PayloadSize())
		status(t, nx.SizeError, "PoolCreate", packetpool.PoolCreate(pool, "x", 0, 1), "sizes come first")
		status(t, nx.PtrError, "PoolCreate", packetpool.PoolCreate(pool, "x", 100, 1000), "created already")
		require.NoError(t, packetpool.PoolDelete(pool))
	}
}

// A pool may be as large as 32 bits say; what is not used costs nothing.
func TestPoolCreateHuge(t *testing.T) {
	for _, payload := range []uint32{4, 1 << 20, 1 << 31} {
		pool := new(packetpool.Pool)
		require.NoError(t, packetpool.PoolCreate(pool, "huge", payload, math.MaxUint32))
		info, err := packetpool.PoolInfoGet(pool)
		require.NoError(t, err)
		assert.Equal(t, math.MaxUint32/4*4/(60+payload), info.TotalPackets)
		if payload < 1<<20 {
			p := message(t, pool, packetpool.ReceivePacket, 100_000)
			require.NoError(t, packetpool.Release(p))
		}
		require.NoError(t, packetpool.PoolDelete(pool))
	}
}

// Beyond what create makes, packets come in the same order.
func TestPoolMadeInParts(t *testing.T) {
	const payload, packets = 4 << 20, 40
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "parts", payload, packets*(60+payload)))
	defer func() { require.NoError(t, packetpool.PoolDelete(pool)) }()
	var held []packetpool.Packet
	for range packets {
		held = append(held, take(t, pool, packetpool.ReceivePacket))
	}
	_, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.ErrorIs(t, err, nx.NoPacket)
	for _, p := range held {
		require.NoError(t, packetpool.Release(p))
	}
	assert.Equal(t, packets, free(t, pool))
}

func TestPoolDelete(t *testing.T) {
	pool, _ := dead(t)
	status(t, nx.PtrError, "PoolDelete", packetpool.PoolDelete(nil))
	status(t, nx.PtrError, "PoolDelete", packetpool.PoolDelete(new(packetpool.Pool)))
	status(t, nx.PtrError, "PoolDelete", packetpool.PoolDelete(pool), "deleted")
}

func TestPoolInfoGet(t *testing.T) {
	pool, _ := dead(t)
	for _, none := range []*packetpool.Pool{nil, new(packetpool.Pool), pool} {
		info, err := packetpool.PoolInfoGet(none)
		status(t, nx.PtrError, "PoolInfoGet", err)
		assert.Zero(t, info)
		assert.Empty(t, none.Name())
		assert.Zero(t, none.PayloadSize())
		assert.Nil(t, none.Holders())
		assert.Nil(t, none.Outstanding())
	}
	pool = nxtest.NewPool(t, 100, 2)
	assert.Equal(t, t.Name(), pool.Name())
	a, b := take(t, pool, 0), take(t, pool, 0)
	_, err := packetpool.Allocate(pool, 0, nx.NoWait)
	require.Error(t, err)
	require.NoError(t, packetpool.Release(a))
	require.Error(t, packetpool.Release(a))
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.Equal(t, packetpool.PoolInfo{TotalPackets: 2, FreePackets: 1, EmptyPoolRequests: 1, InvalidPacketReleases: 1}, info)
	require.NoError(t, packetpool.Release(b))
}

func TestNotInTheDefaultBuild(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 1)
	status(t, nx.NotSupported, "PoolLowWatermarkSet", packetpool.PoolLowWatermarkSet(pool, 1))
	status(t, nx.NotSupported, "PoolLowWatermarkSet", packetpool.PoolLowWatermarkSet(nil, 1))
	p := take(t, pool, 0)
	status(t, nx.NotSupported, "VLANPrioritySet", packetpool.VLANPrioritySet(p, 3))
	status(t, nx.NotSupported, "VLANPrioritySet", packetpool.VLANPrioritySet(packetpool.Packet{}, 9))
	require.NoError(t, packetpool.Release(p))
}

func TestPacketTypes(t *testing.T) {
	for _, row := range []struct {
		packetType packetpool.PacketType
		room       int
	}{
		{packetpool.ReceivePacket, 0},
		{packetpool.IPv4Packet, 36}, {packetpool.IPv4ICMPPacket, 36}, {packetpool.IPv4IGMPPacket, 36}, {packetpool.IGMPPacket, 36},
		{packetpool.IPv4UDPPacket, 44}, {packetpool.IPv4TCPPacket, 56},
		{packetpool.IPv6Packet, 56}, {packetpool.IPv6ICMPPacket, 56}, {packetpool.IPv6UDPPacket, 64}, {packetpool.IPv6TCPPacket, 76},
		{packetpool.IPPacket, 56}, {packetpool.ICMPPacket, 56}, {packetpool.UDPPacket, 64}, {packetpool.TCPPacket, 76},
	} {
		pool := nxtest.NewPool(t, 100, 1)
		p := take(t, pool, row.packetType)
		assert.Equal(t, []packetpool.Fragment{{Room: row.room, Behind: 100 - row.room}}, packetpool.Fragments(p))
		require.NoError(t, packetpool.Release(p))
	}
}

func TestAllocate(t *testing.T) {
	deleted, _ := dead(t)
	pool := nxtest.NewPool(t, 100, 1)
	for _, row := range []struct {
		pool       *packetpool.Pool
		packetType packetpool.PacketType
		want       nx.Status
	}{
		{nil, 1, nx.PtrError},
		{new(packetpool.Pool), 1, nx.PtrError},
		{deleted, 1, nx.PtrError},
		{deleted, 0, nx.PtrError},
		{pool, 1, nx.OptionError},
		{pool, 102, nx.OptionError},
		{pool, math.MaxUint32, nx.OptionError},
		{pool, math.MaxUint32 - 3, nx.InvalidParameters},
		{pool, 104, nx.InvalidParameters},
		{pool, 100, nx.Success},
		{pool, 0, nx.NoPacket},
		{pool, 104, nx.InvalidParameters},
	} {
		p, err := packetpool.Allocate(row.pool, row.packetType, nx.NoWait)
		status(t, row.want, "Allocate", err, "%+v", row)
		if err == nil {
			defer func() { assert.NoError(t, packetpool.Release(p)) }()
			assert.Equal(t, []packetpool.Fragment{{Room: 100}}, packetpool.Fragments(p), "no room is left")
		} else {
			assert.Zero(t, p)
		}
	}
}

func TestRelease(t *testing.T) {
	for _, service := range []struct {
		name    string
		release func(packetpool.Packet) error
	}{{"Release", packetpool.Release}, {"TransmitRelease", packetpool.TransmitRelease}} {
		t.Run(service.name, func(t *testing.T) {
			pool := nxtest.NewPool(t, 100, 4)
			_, ofDead := dead(t)
			status(t, nx.PtrError, service.name, service.release(packetpool.Packet{}))
			status(t, nx.PtrError, service.name, service.release(ofDead))
			old := stale(t, pool)
			status(t, nx.PtrError, service.name, service.release(old))

			under := message(t, pool, 0, 10)
			under.Poke(-1, 0, 1)
			status(t, nx.Underflow, service.name, service.release(under))
			under.Poke(1, 0, -1)
			over := message(t, pool, 0, 10)
			over.Poke(0, 91, 91)
			status(t, nx.Overflow, service.name, service.release(over))
			over.Poke(0, -91, -91)
			assert.Equal(t, 2, free(t, pool), "refused packets are not freed")
			require.NoError(t, service.release(under))
			require.NoError(t, service.release(over))

			chain := message(t, pool, 0, 350)
			assert.Zero(t, free(t, pool))
			require.NoError(t, service.release(chain))
			assert.Equal(t, 4, free(t, pool))
			info, err := packetpool.PoolInfoGet(pool)
			require.NoError(t, err)
			assert.EqualValues(t, 1, info.InvalidPacketReleases, "the stale one; not those of nobody, or of a dead pool")
		})
	}
}

// The packets of a message go back to the pools that they came from.
func TestReleaseOfPacketsOfSeveralPools(t *testing.T) {
	a, b := nxtest.NewPool(t, 10, 3), nxtest.NewPool(t, 20, 3)
	p := take(t, a, 0)
	for _, pool := range []*packetpool.Pool{b, a, b} {
		require.NoError(t, packetpool.DataAppend(p, counting(20), pool, nx.NoWait))
	}
	assert.Equal(t, counting(20), retrieve(t, p)[:20])
	assert.Equal(t, 1, free(t, a))
	assert.Equal(t, 1, free(t, b))
	require.NoError(t, packetpool.Release(p))
	assert.Equal(t, 3, free(t, a))
	assert.Equal(t, 3, free(t, b))
}

// A packet on a transmit queue is the stack's: no release frees it.
func TestQueuedPacket(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	p := message(t, pool, packetpool.IPv4TCPPacket, 100)
	owner := packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"}
	q, err := packetpool.Enqueue(p, owner)
	require.NoError(t, err)
	assert.Equal(t, []packetpool.Holding{{Owner: owner, Packets: 2}}, pool.Holders())

	status(t, nx.PtrError, "Release", packetpool.Release(p), "the program's handle is stale")
	status(t, nx.PtrError, "Release", packetpool.Release(q), "and the stack's is not for release")
	status(t, nx.PtrError, "TransmitRelease", packetpool.TransmitRelease(p))
	status(t, nx.Success, "TransmitRelease", packetpool.TransmitRelease(q), "the driver is done; the queue is not")
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.EqualValues(t, 3, info.InvalidPacketReleases)
	assert.EqualValues(t, 2, info.FreePackets)
	_, err = packetpool.Enqueue(q, owner)
	status(t, nx.PtrError, "Enqueue", err)
	_, err = packetpool.LengthGet(p)
	status(t, nx.PtrError, "LengthGet", err)
	n, err := packetpool.LengthGet(q)
	require.NoError(t, err, "which looks at no marker")
	assert.EqualValues(t, 100, n)

	// Partly sent, and given back to the program.
	require.NoError(t, packetpool.Trim(q, 60))
	var sent []byte
	for piece := range packetpool.Pieces(q) {
		sent = append(sent, piece...)
	}
	assert.Equal(t, counting(100)[60:], sent)
	r, err := packetpool.HandBack(q)
	require.NoError(t, err)
	assert.Equal(t, counting(100)[60:], retrieve(t, r))
	assert.Equal(t, []packetpool.Holding{{Packets: 2}}, pool.Holders())
	_, err = packetpool.HandBack(r)
	status(t, nx.PtrError, "HandBack", err)
	_, err = packetpool.HandBack(q)
	status(t, nx.PtrError, "HandBack", err)
	status(t, nx.PtrError, "Dequeue", packetpool.Dequeue(r), "it is on no queue")
	status(t, nx.PtrError, "Dequeue", packetpool.Dequeue(q))
	status(t, nx.PtrError, "Dequeue", packetpool.Dequeue(packetpool.Packet{}))

	q, err = packetpool.Enqueue(r, owner)
	require.NoError(t, err)
	require.NoError(t, packetpool.Dequeue(q))
	status(t, nx.PtrError, "Dequeue", packetpool.Dequeue(q))
	assert.Equal(t, 4, free(t, pool))

	_, ofDead := dead(t)
	_, err = packetpool.Enqueue(ofDead, owner)
	status(t, nx.PtrError, "Enqueue", err)
	_, err = packetpool.Enqueue(packetpool.Packet{}, owner)
	status(t, nx.PtrError, "Enqueue", err)
}

func TestTrim(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	p := message(t, pool, 0, 250)
	require.NoError(t, packetpool.Trim(p, 0))
	require.NoError(t, packetpool.Trim(p, 130))
	assert.Equal(t, counting(250)[130:], retrieve(t, p))
	status(t, nx.SizeError, "Trim", packetpool.Trim(p, 121))
	require.NoError(t, packetpool.Trim(p, 120))
	assert.Empty(t, retrieve(t, p))
	for range packetpool.Pieces(p) {
		t.Error("nothing is left")
	}
	require.NoError(t, packetpool.Release(p))
	status(t, nx.PtrError, "Trim", packetpool.Trim(p, 0))
	for range packetpool.Pieces(p) {
		t.Error("a stale handle has no pieces")
	}
	assert.Nil(t, packetpool.Fragments(p))
}

func TestDataAppend(t *testing.T) {
	deleted, ofDead := dead(t)
	pool := nxtest.NewPool(t, 100, 4)
	p, old := take(t, pool, packetpool.IPv4TCPPacket), stale(t, pool)
	under, over := message(t, pool, 0, 1), message(t, pool, 0, 1)
	under.Poke(-1, 0, 1)
	over.Poke(0, 100, 100)
	for _, row := range []struct {
		packet packetpool.Packet
		data   []byte
		pool   *packetpool.Pool
		want   nx.Status
	}{
		{packetpool.Packet{}, nil, nil, nx.PtrError},
		{p, []byte{}, nil, nx.PtrError},
		{p, []byte{}, new(packetpool.Pool), nx.PtrError},
		{p, []byte{}, deleted, nx.PtrError},
		{packetpool.Packet{}, []byte{}, pool, nx.PtrError},
		{old, []byte{}, pool, nx.PtrError},
		{under, nil, pool, nx.PtrError},
		{under, []byte{}, pool, nx.SizeError},
		{over, []byte{}, pool, nx.SizeError},
		{under, []byte{1}, pool, nx.Underflow},
		{over, []byte{1}, pool, nx.Overflow},
		{p, make([]byte, 44+100+1), pool, nx.NoPacket},
		{p, make([]byte, 44+100), pool, nx.Success},
	} {
		err := packetpool.DataAppend(row.packet, row.data, row.pool, nx.NoWait)
		status(t, row.want, "DataAppend", err, "%+v", row)
		if row.want == nx.NoPacket {
			assert.Equal(t, []packetpool.Fragment{{Room: 56, Behind: 44}}, packetpool.Fragments(p), "nothing was appended")
			assert.Equal(t, 1, free(t, pool), "and no packet is lost")
		}
	}
	assert.Equal(t, []packetpool.Fragment{{Room: 56, Data: 44}, {Data: 100}}, packetpool.Fragments(p), "no empty packet behind")
	under.Poke(1, 0, -1)
	over.Poke(0, -100, -100)
	for _, q := range []packetpool.Packet{p, under, over} {
		require.NoError(t, packetpool.Release(q))
	}
	status(t, nx.PtrError, "DataAppend", packetpool.DataAppend(ofDead, []byte{1}, deleted, nx.NoWait))
	require.NoError(t, packetpool.DataAppend(ofDead, []byte("er"), pool, nx.NoWait), "its own pool is not looked at")
	text := make([]byte, 6)
	_, err := packetpool.DataRetrieve(ofDead, text)
	require.NoError(t, err)
	assert.Equal(t, "deader", string(text))
}

// Sizes that wrap 32 bits are an error, not a crash.
func TestDataAppendBeyond32Bits(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 2)
	p := message(t, pool, 0, 10)
	p.Poke(0, 0, math.MaxUint32-20)
	status(t, nx.SizeError, "DataAppend", packetpool.DataAppend(p, make([]byte, 11), pool, nx.NoWait))
	status(t, nx.Success, "DataAppend", packetpool.DataAppend(p, make([]byte, 10), pool, nx.NoWait))
	require.NoError(t, packetpool.Release(p))
}

func TestDataRetrieve(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 5)
	p, old := message(t, pool, packetpool.IPv4TCPPacket, 150), stale(t, pool)
	whole := make([]byte, 150)
	for _, row := range []struct {
		packet packetpool.Packet
		buffer []byte
		want   nx.Status
	}{
		{packetpool.Packet{}, whole, nx.PtrError},
		{old, whole, nx.PtrError},
		{p, nil, nx.PtrError},
		{p, []byte{}, nx.SizeError},
		{p, whole[:149], nx.SizeError},
	} {
		n, err := packetpool.DataRetrieve(row.packet, row.buffer)
		status(t, row.want, "DataRetrieve", err, "%+v", row)
		assert.Zero(t, n)
	}
	assert.Equal(t, make([]byte, 150), whole, "a buffer that is too short gets nothing")
	long := bytes.Repeat([]byte{0xEE}, 160)
	n, err := packetpool.DataRetrieve(p, long)
	require.NoError(t, err)
	assert.EqualValues(t, 150, n)
	assert.Equal(t, append(counting(150), bytes.Repeat([]byte{0xEE}, 10)...), long)
	require.NoError(t, packetpool.Trim(p, 150))
	_, err = packetpool.DataRetrieve(p, nil)
	status(t, nx.PtrError, "DataRetrieve", err, "also of an empty message")
	_, err = packetpool.DataRetrieve(p, []byte{})
	require.NoError(t, err)
	p.Poke(0, 0, 5)
	_, err = packetpool.DataRetrieve(p, long)
	status(t, nx.InvalidPacket, "DataRetrieve", err)
	require.NoError(t, packetpool.Release(p))
}

func TestDataExtractOffset(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 5)
	p, old := message(t, pool, packetpool.IPv4TCPPacket, 150), stale(t, pool)
	empty := take(t, pool, 0)
	for _, row := range []struct {
		packet packetpool.Packet
		offset uint32
		size   int
		want   nx.Status
		copied int
	}{
		{packetpool.Packet{}, 0, 10, nx.PtrError, 0},
		{old, 0, 10, nx.PtrError, 0},
		{p, 999, -1, nx.PtrError, 0},
		{p, 150, 10, nx.PacketOffsetError, 0},
		{p, math.MaxUint32, 10, nx.PacketOffsetError, 0},
		{empty, 1, 10, nx.PacketOffsetError, 0},
		{empty, 0, 10, nx.Success, 0},
		{p, 0, 0, nx.Success, 0},
		{p, 0, 200, nx.Success, 150},
		{p, 43, 2, nx.Success, 2},
		{p, 44, 60, nx.Success, 60},
		{p, 149, 10, nx.Success, 1},
	} {
		var buffer []byte
		if row.size >= 0 {
			buffer = make([]byte, row.size)
		}
		n, err := packetpool.DataExtractOffset(row.packet, row.offset, buffer)
		status(t, row.want, "DataExtractOffset", err, "%+v", row)
		assert.EqualValues(t, row.copied, n)
		if row.copied > 0 {
			assert.Equal(t, counting(150)[row.offset:][:n], buffer[:n])
		}
	}
	require.NoError(t, packetpool.Release(p))
	require.NoError(t, packetpool.Release(empty))
}

func TestCopy(t *testing.T) {
	deleted, ofDead := dead(t)
	pool, small := nxtest.NewPool(t, 100, 16), nxtest.NewPool(t, 40, 4)
	p, old, empty := message(t, pool, packetpool.IPv4TCPPacket, 150), stale(t, pool), take(t, pool, 0)
	under, over, lies := message(t, pool, 0, 10), message(t, pool, 0, 10), message(t, pool, 0, 10)
	under.Poke(-1, 0, 1)
	over.Poke(0, 91, 91)
	lies.Poke(0, 0, 1)
	for _, row := range []struct {
		packet packetpool.Packet
		pool   *packetpool.Pool
		want   nx.Status
	}{
		{p, nil, nx.PtrError},
		{p, new(packetpool.Pool), nx.PtrError},
		{p, deleted, nx.PtrError},
		{packetpool.Packet{}, pool, nx.PtrError},
		{old, pool, nx.PtrError},
		{under, pool, nx.Underflow},
		{over, pool, nx.Overflow},
		{empty, pool, nx.InvalidPacket},
		{p, small, nx.NoPacket}, // 206 bytes in packets of 40
		{lies, pool, nx.InvalidPacket},
		{lies, small, nx.InvalidPacket},
	} {
		_, err := packetpool.Copy(row.packet, row.pool, nx.NoWait)
		status(t, row.want, "Copy", err, "%+v", row)
	}
	require.NoError(t, packetpool.Trim(p, 110))
	_, err := packetpool.Copy(p, small, nx.NoWait)
	status(t, nx.InvalidParameters, "Copy", err, "100 bytes of room do not fit a packet of 40")
	assert.Equal(t, 4, free(t, small))

	c, err := packetpool.Copy(p, pool, nx.NoWait)
	require.NoError(t, err)
	assert.Equal(t, retrieve(t, p), retrieve(t, c))
	assert.Equal(t, 100, packetpool.Fragments(c)[0].Room)
	alive, err := packetpool.Copy(ofDead, pool, nx.NoWait)
	require.NoError(t, err)
	assert.Equal(t, "dead", string(retrieve(t, alive)))

	under.Poke(1, 0, -1)
	over.Poke(0, -91, -91)
	for _, q := range []packetpool.Packet{p, c, empty, under, over, lies, alive} {
		require.NoError(t, packetpool.Release(q))
	}
}

func TestLengthGet(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 2)
	_, ofDead := dead(t)
	for _, none := range []packetpool.Packet{{}, stale(t, pool), ofDead} {
		_, err := packetpool.LengthGet(none)
		status(t, nx.PtrError, "LengthGet", err)
	}
	p := message(t, pool, 0, 150)
	n, err := packetpool.LengthGet(p)
	require.NoError(t, err)
	assert.EqualValues(t, 150, n)
	require.NoError(t, packetpool.Release(p))
}

func TestDataAdjust(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	status(t, nx.PtrError, "DataAdjust", packetpool.DataAdjust(packetpool.Packet{}, 10))
	status(t, nx.PtrError, "DataAdjust", packetpool.DataAdjust(stale(t, pool), 10))
	for _, row := range []struct {
		room, data int
		header     uint32
		want       nx.Status
		fragments  []packetpool.Fragment
	}{
		{0, 10, 101, nx.Underflow, []packetpool.Fragment{{0, 10, 90}}},
		{0, 10, math.MaxUint32, nx.Underflow, []packetpool.Fragment{{0, 10, 90}}},
		{56, 10, 56, nx.Success, []packetpool.Fragment{{56, 10, 34}}},
		{56, 10, 40, nx.Success, []packetpool.Fragment{{56, 10, 34}}},
		{0, 10, 57, nx.Success, []packetpool.Fragment{{57, 10, 33}}},
		{0, 50, 50, nx.Success, []packetpool.Fragment{{50, 50, 0}}},
		{0, 50, 51, nx.NotSupported, []packetpool.Fragment{{0, 50, 50}}},
		{0, 50, 52, nx.Success, []packetpool.Fragment{{52, 48, 0}, {0, 2, 98}}},
		{0, 120, 20, nx.Success, []packetpool.Fragment{{20, 80, 0}, {0, 20, 80}, {0, 20, 80}}},
		{0, 220, 20, nx.NoPacket, []packetpool.Fragment{{0, 100, 0}, {0, 100, 0}, {0, 20, 80}}},
	} {
		p := message(t, pool, packetpool.PacketType(row.room), row.data)
		status(t, row.want, "DataAdjust", packetpool.DataAdjust(p, row.header), "%+v", row)
		assert.Equal(t, row.fragments, packetpool.Fragments(p), "%+v", row)
		assert.Equal(t, counting(row.data), retrieve(t, p))
		require.NoError(t, packetpool.Release(p))
	}
}

// A packet of a pool that was deleted is none of the pool that is created next
// in the same control block.
func TestPoolCreatedAgain(t *testing.T) {
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "first", 100, 320))
	p := take(t, pool, 0)
	require.NoError(t, packetpool.PoolDelete(pool))
	require.NoError(t, packetpool.PoolCreate(pool, "second", 100, 320))
	status(t, nx.PtrError, "Release", packetpool.Release(p))
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.Equal(t, packetpool.PoolInfo{TotalPackets: 2, FreePackets: 2}, info)
	require.NoError(t, packetpool.PoolDelete(pool))
}

// No service allocates memory for a packet.
func TestNothingIsAllocatedPerPacket(t *testing.T) {
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "allocations", 100, 64*160))
	defer func() { require.NoError(t, packetpool.PoolDelete(pool)) }()
	data, buffer := counting(500), make([]byte, 500)
	owner := packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		p, _ := packetpool.Allocate(pool, packetpool.IPv6TCPPacket, nx.NoWait)
		_ = packetpool.DataAppend(p, data, pool, nx.NoWait)
		_, _ = packetpool.DataRetrieve(p, buffer)
		_, _ = packetpool.DataExtractOffset(p, 100, buffer)
		_, _ = packetpool.LengthGet(p)
		c, _ := packetpool.Copy(p, pool, nx.NoWait)
		_ = packetpool.Release(c)
		q, _ := packetpool.Enqueue(p, owner)
		_ = packetpool.Dequeue(q)
	}))
	assert.Equal(t, 64, free(t, pool))
}

func TestEvents(t *testing.T) {
	r := new(nxtest.Recorder)
	pool := nxtest.NewPool(t, 100, 2, nxtest.Record(r))
	p := message(t, pool, 0, 150)
	_, err := packetpool.Allocate(pool, 0, nx.NoWait)
	require.Error(t, err)
	q, err := packetpool.Enqueue(p, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"})
	require.NoError(t, err)
	require.NoError(t, packetpool.Dequeue(q))
	name := t.Name()
	assert.Equal(t, []nx.Event{
		nx.PacketEvent{Pool: name, Packets: 1, Free: 1},
		nx.PacketEvent{Pool: name, Packets: 1, Free: 0},
		nx.PoolEmptyEvent{Pool: name},
		nx.PacketEvent{Pool: name, Released: true, Packets: 2, Free: 2, Owner: "transmit queue of mail"},
	}, r.Events())
}

func TestOwnerString(t *testing.T) {
	for want, owner := range map[string]packetpool.Owner{
		"application":            {},
		"transmit queue of mail": {Kind: packetpool.TransmitQueue, Name: "mail"},
		"receive queue of mail":  {Kind: packetpool.ReceiveQueue, Name: "mail"},
		"driver of tun0":         {Kind: packetpool.Driver, Name: "tun0"},
		"unknown":                {Kind: 99},
	} {
		assert.Equal(t, want, owner.String())
	}
}
