package smtp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mailBody = "Line one\r\n.dot\r\nend"

func TestDialogueNone(t *testing.T) {
	b, err := dialogue(t, options{}, `
S: 220 srv ESMTP
C: EHLO mycompany.com
S: 250-srv
S: 250-8BITMIME
S: 250 HELP
C: MAIL FROM:<my@mycompany.com>
S: 250 2.1.0 ok
C: RCPT TO:<your@yourcompany.com>
S: 250 2.1.5 ok
C: DATA
S: 354 go ahead
C: To: your@yourcompany.com
C: From: my@mycompany.com
C: Subject: Subject
C: Date: Wed, 04 Mar 2026 05:06:07 +0000
C: Message-ID: <id@mycompany.com>
C: MIME-Version: 1.0
C: Content-Type: text/plain;
C:   charset="utf-8"
C: Content-Transfer-Encoding: 7bit
C: 
C: Line one
C: ..dot
C: end
C: .
S: 250 2.0.0 queued
C: QUIT
S: 221 bye
`, func(b *bench) error { return b.sendMail(mailBody) })
	require.NoError(t, err)
	info, err := ClientInfoGet(b.client)
	require.NoError(t, err)
	assert.Equal(t, uint(221), info.ReplyCode)
	assert.Equal(t, StateIdle, info.CommandState)
}
