package tcp_test

import (
	"errors"
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// instance makes an IP instance with TCP on a network, and its pool.
func instance(network *ram.Network, name string, a, b, c, d byte) (*ip.Instance, *packetpool.Pool) {
	var pool packetpool.Pool
	var inst ip.Instance
	check(packetpool.PoolCreate(&pool, "pool of "+name, 1536, (60+1536)*16))
	check(ip.Create(&inst, name, ip.IPAddress(a, b, c, d), ip.IPAddress(255, 255, 255, 0), &pool, network.Driver(), 2048, 1))
	check(tcp.Enable(&inst))
	return &inst, &pool
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// The TCP sample of NetX Duo (demo_netx_duo_tcp.c): a client and a server in
// two IP instances over the RAM driver. The client sends 28 bytes and
// disconnects, again and again.
func Example() {
	network := ram.NewNetwork(ram.Config{})
	client, clientPool := instance(network, "client", 1, 2, 3, 4)
	server, serverPool := instance(network, "server", 1, 2, 3, 5)
	const rounds = 3

	done := make(chan struct{})
	go func() { // thread_1_entry: the server
		defer close(done)
		var socket tcp.Socket
		check(tcp.SocketCreate(server, &socket, "server socket", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 100, nil, nil))
		check(tcp.ServerSocketListen(server, 12, &socket, 5, nil))
		again := func() {
			check(tcp.ServerSocketUnaccept(&socket))
			if err := tcp.ServerSocketRelisten(server, 12, &socket); !errors.Is(err, nx.ConnectionPending) {
				check(err)
			}
		}
		for range rounds {
			for errors.Is(tcp.ServerSocketAccept(&socket, nx.WaitForever), nx.NotConnected) {
				again() // the client has given up the attempt that was answered
			}
			packet, err := tcp.SocketReceive(&socket, nx.Ticks(time.Second))
			check(err)
			data := make([]byte, 28)
			_, err = packetpool.DataRetrieve(packet, data)
			check(err)
			fmt.Printf("server: %s\n", data)
			check(packetpool.Release(packet))
			check(tcp.SocketDisconnect(&socket, nx.Ticks(time.Second)))
			again()
		}
		check(tcp.ServerSocketUnlisten(server, 12))
		_ = tcp.ServerSocketUnaccept(&socket) // when a connection was pending
		check(tcp.SocketDelete(&socket))
	}()

	for range rounds { // thread_0_entry: the client
		var socket tcp.Socket
		check(tcp.SocketCreate(client, &socket, "client socket", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 200, nil, nil))
		check(tcp.ClientSocketBind(&socket, 12, nx.WaitForever))
		for errors.Is(tcp.ClientSocketConnect(&socket, ip.IPAddress(1, 2, 3, 5), 12, nx.Ticks(time.Second)), nx.NotConnected) {
			// the server is not listening yet
		}
		packet, err := packetpool.Allocate(clientPool, packetpool.TCPPacket, nx.WaitForever)
		check(err)
		check(packetpool.DataAppend(packet, []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ12"), clientPool, nx.WaitForever))
		if err := tcp.SocketSend(&socket, packet, nx.Ticks(time.Second)); err != nil {
			check(packetpool.Release(packet))
			check(err)
		}
		check(tcp.SocketDisconnect(&socket, nx.Ticks(time.Second)))
		check(tcp.ClientSocketUnbind(&socket))
		check(tcp.SocketDelete(&socket))
	}
	<-done
	check(ip.Delete(client))
	check(ip.Delete(server))
	check(packetpool.PoolDelete(clientPool))
	check(packetpool.PoolDelete(serverPool))
	// Output:
	// server: ABCDEFGHIJKLMNOPQRSTUVWXYZ12
	// server: ABCDEFGHIJKLMNOPQRSTUVWXYZ12
	// server: ABCDEFGHIJKLMNOPQRSTUVWXYZ12
}

// Why a connection was not made is wrapped beside the one status that NetX Duo
// has for it.
func ExampleClientSocketConnect() {
	network := ram.NewNetwork(ram.Config{})
	client, clientPool := instance(network, "client", 1, 2, 3, 4)
	server, serverPool := instance(network, "server", 1, 2, 3, 5)

	var socket tcp.Socket
	check(tcp.SocketCreate(client, &socket, "client", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, nil, nil))
	check(tcp.ClientSocketBind(&socket, tcp.AnyPort, nx.WaitForever))
	err := tcp.ClientSocketConnect(&socket, ip.IPAddress(1, 2, 3, 5), 25, nx.Ticks(time.Second))
	fmt.Println(err)
	fmt.Println(errors.Is(err, nx.NotConnected), errors.Is(err, tcp.ErrRefused))

	check(tcp.ClientSocketUnbind(&socket))
	check(tcp.SocketDelete(&socket))
	check(ip.Delete(client))
	check(ip.Delete(server))
	check(packetpool.PoolDelete(clientPool))
	check(packetpool.PoolDelete(serverPool))
	// Output:
	// tcp.ClientSocketConnect: NX_NOT_CONNECTED (0x38): connection refused
	// true true
}
