package bench

import (
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// The mail of the benchmark: 1 kB of body, no dots, no long lines.
const (
	mailFrom    = "my@mycompany.com"
	mailTo      = "your@yourcompany.com"
	mailDomain  = "mycompany.com"
	mailSubject = "How fast is it?"
	mailLine    = "All work and no play makes Jack a dull boy, and so on; this is line.\r\n"
)

func mailBody() string { return strings.Repeat(mailLine, 15) }

// netMail sends the mail by package net/smtp, over a connection of any stack,
// and closes it.
func netMail(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	client, err := smtp.NewClient(c, "peer")
	if err != nil {
		_ = c.Close()
		return err
	}
	if err := dialog(client); err != nil {
		_ = client.Close()
		return err
	}
	return client.Quit()
}

func dialog(client *smtp.Client) error {
	if err := client.Hello(mailDomain); err != nil {
		return err
	}
	if err := client.Mail(mailFrom); err != nil {
		return err
	}
	if err := client.Rcpt(mailTo); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	now := time.Now()
	if _, err := fmt.Fprintf(w, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@%s>\r\n\r\n%s",
		mailFrom, mailTo, mailSubject, now.Format(time.RFC1123Z), now.UnixNano(), mailDomain, mailBody()); err != nil {
		return err
	}
	return w.Close()
}
