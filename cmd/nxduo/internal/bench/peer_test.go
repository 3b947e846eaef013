package bench

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The sink is a mail server for net/smtp, the one opinion besides our own.
func TestTakeMail(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		takeMail(server)
	}()
	require.NoError(t, netMail(client))
}

func TestTakeMailReadsToTheLoneDot(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		takeMail(server)
	}()
	r := bufio.NewReader(client)
	for _, step := range []struct{ say, hear string }{
		{"", "220"},
		{"ehlo me\r\n", "250"},
		{"DATA\r\n", "354"},
		{"..\r\n .\r\n" + strings.Repeat("x", 9000) + ".\r\nQUIT\r\n.\r\n", "250"},
		{"nonsense\r\n", "500"},
		{"QUIT\r\n", "221"},
	} {
		if step.say != "" { // the server begins
			_, err := client.Write([]byte(step.say))
			require.NoError(t, err)
		}
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, step.hear, line[:3], step.say[:min(10, len(step.say))])
	}
	_, err := r.ReadByte()
	assert.Error(t, err, "closed")
}

func TestMailIsOrdinary(t *testing.T) {
	assert.InDelta(t, 1024, len(mailBody()), 60)
	assert.NotContains(t, "\r\n"+mailBody(), "\r\n.")
}
