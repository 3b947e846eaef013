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
