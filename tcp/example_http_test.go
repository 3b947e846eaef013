package tcp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/tcp"
)

// Libraries that know nothing of NetX Duo run over its sockets and its packet
// pool: here the web server of the standard library on one instance, and its
// client on another one.
func ExampleListen() {
	network := ram.NewNetwork(ram.Config{})
	client, clientPool := instance(network, "client", 1, 2, 3, 4)
	server, serverPool := instance(network, "server", 1, 2, 3, 5)

	listener, err := tcp.Listen(server, 80, nil)
	check(err)
	web := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s asks for %s", r.RemoteAddr[:len("1.2.3.4")], r.URL.Path)
	})}
	done := make(chan error)
	go func() { done <- web.Serve(listener) }()

	browser := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return tcp.Dial(ctx, client, address, nil)
		},
	}}
	for range 2 { // over the same connection
		response, err := browser.Get("http://1.2.3.5/index.html")
		check(err)
		text, err := io.ReadAll(response.Body)
		check(err)
		check(response.Body.Close())
		fmt.Println(response.Status)
		fmt.Println(string(text))
	}

	browser.CloseIdleConnections()
	check(web.Shutdown(context.Background()))
	fmt.Println(errors.Is(<-done, http.ErrServerClosed))
	check(ip.Delete(client))
	check(ip.Delete(server))
	check(packetpool.PoolDelete(clientPool))
	check(packetpool.PoolDelete(serverPool))
	// Output:
	// 200 OK
	// 1.2.3.4 asks for /index.html
	// 200 OK
	// 1.2.3.4 asks for /index.html
	// true
}
