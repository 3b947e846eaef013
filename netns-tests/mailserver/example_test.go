package mailserver_test

import (
	"fmt"
	"net"
	"net/smtp"

	"gonetx/netns-tests/mailserver"
)

// A server on a listener of whatever stack, and what it has taken.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{"user": "secret"}})
	defer server.Close()

	login := smtp.PlainAuth("", "user", "secret", "127.0.0.1")
	err = smtp.SendMail(listener.Addr().String(), login, "a@example.com", []string{"b@example.com"}, []byte("Subject: hi\r\n\r\nHello.\r\n"))
	fmt.Println(err)
	for _, mail := range server.Mails() {
		fmt.Println(mail.From, mail.To, mail.Mechanism, mail.User)
		fmt.Printf("%q\n", mail.Data)
	}
	// Output:
	// <nil>
	// a@example.com b@example.com PLAIN user
	// "Subject: hi\r\n\r\nHello.\r\n"
}
