package netns_test

import (
	"fmt"
	"log"
	"net"

	"gonetx/ip/link/tun/netns"
)

// A program that makes its own network, and is root in it.
func ExampleEnter() {
	if err := netns.Enter(); err != nil {
		log.Fatal(err) // says what refuses, and what helps
	}
	interfaces, _ := net.Interfaces()
	fmt.Println(len(interfaces), interfaces[0].Name) // 1 lo
}

// A second host in the same process.
func ExampleNamespace_Do() {
	host, err := netns.New()
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	var listener net.Listener
	err = host.Do(func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:25") // on that host's lo, where port 25 is free
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
}
