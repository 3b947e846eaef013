// Package smtp is NetX Duo's SMTP client: NX_SMTP_CLIENT over an IP instance
// and a packet pool of the program's.
//
// A client has one server, one identity and one pool. Each mail is one session
// with its own connection and one recipient:
//
//	var client smtp.Client
//	err := smtp.ClientCreate(&client, &inst, &pool, "myusername", "mypassword",
//		"my@mycompany.com", "mycompany.com", smtp.AuthPlain, ip.IPAddress(1, 2, 3, 4), smtp.DefaultPort)
//	err = smtp.MailSend(&client, "your@yourcompany.com", smtp.PriorityNormal, "Subject", body)
//	err = smtp.ClientDelete(&client)
//
// nxd_smtp_client_create is [ClientCreate], nx_smtp_mail_send is [MailSend] and
// nx_smtp_client_delete is [ClientDelete]; [MailSendContext] and
// [ClientInfoGet] are additions. The server is an IPv4 or an IPv6 address, and
// nothing else changes with the family but the size of the pieces.
//
// # What goes over the wire
//
// The session greets with EHLO (HELO where that is refused), authenticates with
// PLAIN or LOGIN as the client was created for and the server offers, and hands
// over the mail. Commands and mail travel in packets of the pool: header, body
// and end mark one after the other in pieces of the pool's payload less the
// headers (20 bytes TCP, 20 IPv4 or 40 IPv6), however long the mail is. A packet
// is back in the pool when the peer has acknowledged it. So a mail of any size goes through a pool of a few
// packets, and nothing else is allocated that grows with it.
//
// # What an error says
//
// Every error carries NetX Duo's number and name (nx.Code, errors.Is). A
// server's refusal is a [ReplyError] with the server's own words; a session
// that broke is a [PhaseError] with the state it was in and the cause:
//
//	var said *smtp.ReplyError
//	switch {
//	case err == nil: // the server has taken the mail
//	case errors.As(err, &said) && said.Temporary(): // try again later
//	case errors.As(err, &said): // said.Code, said.Enhanced, said.Text
//	case errors.Is(err, nx.NoPacket): // no reply in time, or no packet free
//	}
//
// nil means that the server has answered 2xx to the message, and nothing else
// does. The connection is closed and all packets are back, whatever happened.
//
// # The release
//
// The user's guide of NetX Duo promises RFC 2821 and RFC 2554; the client that
// it ships, release 6.4.2, falls short of them in many ways. This one does what
// the guide says. With [Config.Release] it acts as the release does, byte for
// byte and status for status, so that a porter can see on a desk how the device
// would have failed. Each difference between the two has a number and a name,
// is one switch ([Difference]), and is described by [Ledger]; LEDGER.md is the
// same as a table.
//
// # Secrets
//
// Neither errors nor events hold credentials, also when the server repeats
// them. A password over an unprotected connection is a warning event.
// [Config.TLS] protects the connection (STARTTLS, or TLS from the first byte);
// [Config.RequireTLS] sends nothing but EHLO without.
//
// # Limits
//
// Of the guide: PLAIN and LOGIN only, one recipient a mail, no VRFY, SEND,
// SOML, EXPN, SAML, ETRN, TURN, SIZE; the syntax of addresses is not checked,
// but a CR, LF or NUL in them is refused. The client knows no names: the server
// is an address.
package smtp
