package smtp_test

import (
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// The SMTP sample of NetX Duo (demo_netxduo_smtp_client.c), call by call.
//
// What is not as in C: the thread is a goroutine; the second that it sleeps
// until the driver is up is a status check; there is an end, with all deleted.
func Example_porting() {
	network := ram.NewNetwork(ram.Config{})
	stop := exampleServer(network, friendlyReply)

	// tx_application_define
	var ipPool, clientPool packetpool.Pool
	var clientIP ip.Instance
	if err := packetpool.PoolCreate(&ipPool, "Default IP Packet Pool", 512, 2048); err != nil {
		fmt.Printf("packet pool: 0x%X\n", nx.Code(err))
		return
	}
	if err := packetpool.PoolCreate(&clientPool, "SMTP Client Packet Pool", 800, 8000); err != nil {
		fmt.Printf("packet pool: 0x%X\n", nx.Code(err))
		return
	}
	err := ip.Create(&clientIP, "SMTP Client IP Instance", ip.IPAddress(1, 2, 3, 5), ip.AddressFromWords(0xFFFFFF00),
		&ipPool, network.Driver(), 2048, 1)
	if err != nil {
		fmt.Printf("IP instance: 0x%X\n", nx.Code(err))
		return
	}
	for _, err := range []error{ip.ARPEnable(&clientIP, 1040), tcp.Enable(&clientIP), ip.ICMPv4Enable(&clientIP)} {
		if err != nil {
			fmt.Printf("enable: 0x%X\n", nx.Code(err))
			return
		}
	}

	sent := make(chan struct{})
	go func() { // demo_client_thread_entry
		defer close(sent)
		var client smtp.Client
		if _, err := ip.StatusCheck(&clientIP, ip.InitializeDone, nx.Ticks(time.Second)); err != nil {
			fmt.Printf("the driver: 0x%X\n", nx.Code(err))
			return
		}
		server := ip.IPAddress(1, 2, 3, 4)
		if err := smtp.ClientCreate(&client, &clientIP, &clientPool, "myusername", "mypassword",
			"my@mycompany.com", "mycompany.com", smtp.AuthPlain, server, 25); err != nil {
			fmt.Printf("client: 0x%X\n", nx.Code(err))
			return
		}
		err := smtp.MailSend(&client, "your@yourcompany.com", smtp.PriorityNormal, "NetX Duo SMTP Client Demo",
			[]byte("NetX Duo SMTP client is a simple SMTP client implementation that allow\r\nembedded devices to send mail.\r\n"))
		fmt.Printf("mail: 0x%02X\n", nx.Code(err))
		fmt.Printf("delete: 0x%02X\n", nx.Code(smtp.ClientDelete(&client)))
	}()
	<-sent

	must(ip.Delete(&clientIP))
	for _, pool := range []*packetpool.Pool{&ipPool, &clientPool} {
		info, _ := packetpool.PoolInfoGet(pool)
		fmt.Printf("%s: %d of %d packets are free\n", pool.Name(), info.FreePackets, info.TotalPackets)
		must(packetpool.PoolDelete(pool))
	}
	fmt.Printf("the server has %d mail\n", len(stop().mails))
	// Output:
	// mail: 0x00
	// delete: 0x00
	// Default IP Packet Pool: 3 of 3 packets are free
	// SMTP Client Packet Pool: 9 of 9 packets are free
	// the server has 1 mail
}
