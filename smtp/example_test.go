package smtp_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// exampleServer is a mail server on an instance of its own in the same network,
// 1.2.3.4. stop ends it and answers what it has received.
func exampleServer(network *ram.Network, reply func(line string) string) (stop func() *mailServer) {
	var pool packetpool.Pool
	var inst ip.Instance
	must(packetpool.PoolCreate(&pool, "server", 1536, 64*(60+1536)))
	must(ip.Create(&inst, "server", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, network.Driver(), 2048, 1))
	must(tcp.Enable(&inst))
	s, err := startServer(&inst, &pool, reply)
	must(err)
	return func() *mailServer {
		must(s.end())
		must(ip.Delete(&inst))
		must(packetpool.PoolDelete(&pool))
		return s
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// The program of the guide: two pools, an instance with TCP, a client, a mail.
func Example() {
	network := ram.NewNetwork(ram.Config{})
	stop := exampleServer(network, friendlyReply)

	var ipPool, clientPool packetpool.Pool
	var clientIP ip.Instance
	var client smtp.Client

	err := packetpool.PoolCreate(&ipPool, "Default IP Packet Pool", 128, 2048)
	if err == nil {
		err = packetpool.PoolCreate(&clientPool, "SMTP Client Packet Pool", 800, 8000)
	}
	if err == nil {
		err = ip.Create(&clientIP, "SMTP Client IP Instance", ip.IPAddress(1, 2, 3, 5), ip.IPAddress(255, 255, 255, 0),
			&ipPool, network.Driver(), 2048, 1)
	}
	if err == nil {
		err = tcp.Enable(&clientIP)
	}
	if err == nil {
		err = smtp.ClientCreate(&client, &clientIP, &clientPool, "myusername", "mypassword",
			"my@mycompany.com", "mycompany.com", smtp.AuthPlain, ip.IPAddress(1, 2, 3, 4), smtp.DefaultPort)
	}
	if err == nil {
		err = smtp.MailSend(&client, "your@yourcompany.com", smtp.PriorityNormal, "NetX SMTP Client Demo",
			[]byte("NetX SMTP client is a simple SMTP client implementation\r\n"))
	}
	if err != nil {
		fmt.Printf("status 0x%02X: %v\n", nx.Code(err), err)
	}
	must(smtp.ClientDelete(&client))
	must(ip.Delete(&clientIP))
	info, _ := packetpool.PoolInfoGet(&clientPool)
	fmt.Printf("%d of %d packets are free\n", info.FreePackets, info.TotalPackets)
	must(packetpool.PoolDelete(&clientPool))
	must(packetpool.PoolDelete(&ipPool))

	server := stop()
	for _, line := range server.lines {
		fmt.Println(line)
	}
	_, body, _ := strings.Cut(server.mails[0], "\r\n\r\n")
	fmt.Print(strings.ReplaceAll(body, "\r\n", "\n"))
	// Output:
	// 9 of 9 packets are free
	// EHLO mycompany.com
	// AUTH PLAIN
	// AG15dXNlcm5hbWUAbXlwYXNzd29yZA==
	// MAIL FROM:<my@mycompany.com>
	// RCPT TO:<your@yourcompany.com>
	// DATA
	// QUIT
	// NetX SMTP client is a simple SMTP client implementation
}

// A refusal keeps NetX Duo's status and the server's words.
func ExampleReplyError() {
	network := ram.NewNetwork(ram.Config{})
	stop := exampleServer(network, func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550-5.1.1 no such user\r\n550 5.1.1 here\r\n"
		}
		return friendlyReply(line)
	})
	client, done := exampleClient(network, nil)

	err := smtp.MailSend(client, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte("Hello"))
	var said *smtp.ReplyError
	if errors.As(err, &said) {
		fmt.Printf("%d, %s, permanent: %v\n%s\n", said.Code, said.Enhanced, said.Permanent(), said.Text)
	}
	fmt.Println(errors.Is(err, smtp.RcptReplyError), err)
	done()
	stop()
	// Output:
	// 550, 5.1.1, permanent: true
	// 5.1.1 no such user
	// 5.1.1 here
	// true smtp.MailSend: NX_SMTP_RCPT_REPLY_ERROR (0xAA): RCPT TO: 550 5.1.1 no such user / 5.1.1 here
}

// A body with a line of one dot: as the release sends it, and as it should be.
// The release's mail ends at that line, and the rest is read as commands.
func ExampleConfig() {
	for _, release := range []bool{false, true} {
		network := ram.NewNetwork(ram.Config{})
		stop := exampleServer(network, friendlyReply)
		client, done := exampleClient(network, &smtp.Config{Release: release})
		err := smtp.MailSend(client, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte("Hello\r\n.\r\nRSET\r\n"))
		done()
		server := stop()
		_, body, _ := strings.Cut(server.mails[0], "\r\n\r\n")
		fmt.Printf("release %v: %v, body %q, commands after it %q\n", release, err, body, server.lines[slices.Index(server.lines, "DATA")+1:])
	}
	fmt.Println(smtp.Ledger()[smtp.DotsNotStuffed-1].Difference)
	// Output:
	// release false: <nil>, body "Hello\r\n..\r\nRSET\r\n", commands after it ["QUIT"]
	// release true: <nil>, body "Hello\r\n", commands after it ["RSET" "" "." "QUIT"]
	// NXD-03 DotsNotStuffed
}

// The state that a client is in, also while it sends.
func ExampleClientInfoGet() {
	network := ram.NewNetwork(ram.Config{})
	stop := exampleServer(network, func(line string) string {
		if line == "AUTH PLAIN" {
			return "535 5.7.8 not you\r\n"
		}
		return friendlyReply(line)
	})
	client, done := exampleClient(network, nil)
	_ = smtp.MailSend(client, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte("Hello"))
	info, err := smtp.ClientInfoGet(client)
	fmt.Println(info.CommandState, info.ReplyCode, info.MailStatus, info.AuthType, info.AuthState, err)
	done()
	stop()
	// Output: IDLE 221 NX_SMTP_AUTH_REPLY_ERROR (0xAD) PLAIN IN_PROGRESS <nil>
}

// exampleClient is a client for PLAIN on an instance of its own. done deletes
// both.
func exampleClient(network *ram.Network, config *smtp.Config) (client *smtp.Client, done func()) {
	var pool packetpool.Pool
	var inst ip.Instance
	client = &smtp.Client{Config: config}
	must(packetpool.PoolCreate(&pool, "client", 800, 9*860))
	must(ip.Create(&inst, "client", ip.IPAddress(1, 2, 3, 5), ip.IPAddress(255, 255, 255, 0), &pool, network.Driver(), 2048, 1))
	must(tcp.Enable(&inst))
	auth := smtp.AuthPlain
	if config != nil && config.Release {
		auth = smtp.AuthNone
	}
	must(smtp.ClientCreate(client, &inst, &pool, "myusername", "mypassword", "my@mycompany.com", "mycompany.com", auth,
		ip.IPAddress(1, 2, 3, 4), smtp.DefaultPort))
	return client, func() {
		must(smtp.ClientDelete(client))
		must(ip.Delete(&inst))
		must(packetpool.PoolDelete(&pool))
	}
}
