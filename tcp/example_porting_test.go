package tcp_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// The TCP sample of NetX Duo (demo_netx_duo_tcp.c), call by call: a client and a
// server in two IP instances over the RAM driver, out of one packet pool. The
// client sends 28 bytes and disconnects, alternately over IPv4 and over IPv6,
// with the sample's windows of 200 and 100 bytes.
//
// What is not as in C: the threads are goroutines; sleeping until duplicate
// address detection is through is asking for the address; the loops end.
func Example() {
	const rounds = 4
	message := "ABCDEFGHIJKLMNOPQRSTUVWXYZ  "
	server6 := netip.MustParseAddr("2001::2")

	// tx_application_define
	var pool packetpool.Pool
	var ip0, ip1 ip.Instance
	network := ram.NewNetwork(ram.Config{})
	ip0.Config, ip1.Config = &ip.Config{NoDAD: true}, &ip.Config{NoDAD: true} // or the addresses are valid 3 s later
	check(packetpool.PoolCreate(&pool, "NetX Main Packet Pool", 1536, (60+1536)*16))
	check(ip.Create(&ip0, "NetX IP Instance 0", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, network.Driver(), 2048, 1))
	check(ip.Create(&ip1, "NetX IP Instance 1", ip.IPAddress(1, 2, 3, 5), ip.IPAddress(255, 255, 255, 0), &pool, network.Driver(), 2048, 1))
	for inst, address := range map[*ip.Instance]netip.Addr{&ip0: netip.MustParseAddr("2001::1"), &ip1: server6} {
		check(ip.ARPEnable(inst, 1024))
		check(ip.IPv6Enable(inst))
		check(ip.ICMPEnable(inst))
		check(tcp.Enable(inst))
		_, err := ip.IPv6AddressSet(inst, 0, address, 64)
		check(err)
	}

	listening, done := make(chan struct{}), make(chan struct{})
	go func() { // thread_1_entry
		defer close(done)
		_, err := ip.StatusCheck(&ip1, ip.InitializeDone, nx.Ticks(time.Second))
		check(err)
		var socket tcp.Socket
		check(tcp.SocketCreate(&ip1, &socket, "Server Socket", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 100, nil, nil))
		check(tcp.ServerSocketListen(&ip1, 12, &socket, 5, nil))
		close(listening)
		for range rounds {
			check(tcp.ServerSocketAccept(&socket, nx.WaitForever))
			packet, err := tcp.SocketReceive(&socket, nx.Ticks(time.Second))
			check(err)
			data := make([]byte, 28)
			_, err = packetpool.DataRetrieve(packet, data)
			check(err)
			fmt.Printf("received: %q\n", data)
			check(packetpool.Release(packet))
			check(tcp.SocketDisconnect(&socket, nx.Ticks(time.Second)))
			check(tcp.ServerSocketUnaccept(&socket))
			if err := tcp.ServerSocketRelisten(&ip1, 12, &socket); !errors.Is(err, nx.ConnectionPending) {
				check(err)
			}
		}
		check(tcp.ServerSocketUnlisten(&ip1, 12))
		check(tcp.SocketDelete(&socket))
	}()

	<-listening
	for i := range rounds { // thread_0_entry
		var socket tcp.Socket
		check(tcp.SocketCreate(&ip0, &socket, "Client Socket", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 200, nil, nil))
		check(tcp.ClientSocketBind(&socket, 12, nx.WaitForever))
		server := ip.IPAddress(1, 2, 3, 5)
		if i%2 == 1 {
			server = server6
		}
		check(tcp.ClientSocketConnect(&socket, server, 12, nx.Ticks(5*time.Second)))
		peer, port, err := tcp.SocketPeerInfoGet(&socket)
		check(err)
		packet, err := packetpool.Allocate(&pool, packetpool.TCPPacket, nx.WaitForever)
		check(err)
		check(packetpool.DataAppend(packet, []byte(message), &pool, nx.WaitForever))
		length, err := packetpool.LengthGet(packet)
		check(err)
		fmt.Printf("%d bytes to %s, port %d\n", length, peer, port)
		if err := tcp.SocketSend(&socket, packet, nx.Ticks(time.Second)); err != nil {
			check(packetpool.Release(packet)) // it is ours as long as it was not sent
			check(err)
		}
		check(tcp.SocketDisconnect(&socket, nx.Ticks(time.Second)))
		check(tcp.ClientSocketUnbind(&socket))
		check(tcp.SocketDelete(&socket))
	}
	<-done
	check(ip.Delete(&ip0))
	check(ip.Delete(&ip1))
	info, err := packetpool.PoolInfoGet(&pool)
	check(err)
	fmt.Printf("%d of %d packets are free\n", info.FreePackets, info.TotalPackets)
	check(packetpool.PoolDelete(&pool))
	// Output:
	// 28 bytes to 1.2.3.5, port 12
	// received: "ABCDEFGHIJKLMNOPQRSTUVWXYZ  "
	// 28 bytes to 2001::2, port 12
	// received: "ABCDEFGHIJKLMNOPQRSTUVWXYZ  "
	// 28 bytes to 1.2.3.5, port 12
	// received: "ABCDEFGHIJKLMNOPQRSTUVWXYZ  "
	// 28 bytes to 2001::2, port 12
	// received: "ABCDEFGHIJKLMNOPQRSTUVWXYZ  "
	// 16 of 16 packets are free
}
