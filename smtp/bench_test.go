package smtp_test

import (
	"bytes"
	"net/netip"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"

	"github.com/stretchr/testify/require"
)

// BenchmarkMail is a mail of a kilobyte from MailSend to its end, the server's half
// with it: no device and no system call.
func BenchmarkMail(b *testing.B) {
	for name, to := range map[string]netip.Addr{"IPv4": serverIPv4, "IPv6": serverIPv6} {
		b.Run(name, func(b *testing.B) {
			network := ram.NewNetwork(ram.Config{})
			in, out, far := nxtest.NewPool(b, 1536, 32), nxtest.NewPool(b, 800, 16), nxtest.NewPool(b, 1536, 64)
			inst := instance(b, network, "client", in, clientIPv4, clientIPv6)
			serve(b, instance(b, network, "server", far, serverIPv4, serverIPv6), far, friendlyReply)
			var client smtp.Client
			require.NoError(b, smtp.ClientCreate(&client, inst, out, "myusername", "mypassword", "my@mycompany.com", "mycompany.com", smtp.AuthPlain, to, smtp.DefaultPort))
			b.Cleanup(func() { require.NoError(b, smtp.ClientDelete(&client)) })
			body := bytes.Repeat([]byte("a line of text\r\n"), 64)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, smtp.MailSend(&client, "your@yourcompany.com", smtp.PriorityNormal, "bench", body))
			}
		})
	}
}
