package smtp

import (
	"errors"
	"fmt"
	"testing"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusNumbersAndNames(t *testing.T) {
	for number, name := range map[Status]string{
		0xA0: "NX_SMTP_AUTHENTICATION_ERROR", 0xA1: "NX_SMTP_OVERSIZE_MAIL_DATA",
		0xA2: "NX_SMTP_INVALID_SERVER_REPLY", 0xA3: "NX_SMTP_INTERNAL_ERROR",
		0xA4: "NX_SMTP_SERVER_ERROR_CODE_RECEIVED", 0xA5: "NX_SMTP_INVALID_PARAM",
		0xA6: "NX_SMTP_PACKET_ALLOCATE_ERROR", 0xA7: "NX_SMTP_GREET_REPLY_ERROR",
		0xA8: "NX_SMTP_HELLO_REPLY_ERROR", 0xA9: "NX_SMTP_MAIL_REPLY_ERROR",
		0xAA: "NX_SMTP_RCPT_REPLY_ERROR", 0xAB: "NX_SMTP_MESSAGE_REPLY_ERROR",
		0xAC: "NX_SMTP_DATA_REPLY_ERROR", 0xAD: "NX_SMTP_AUTH_REPLY_ERROR",
		0xAE: "NX_SMTP_SERVER_ERROR_REPLY", 0xAF: "NX_SMTP_TRANSMIT_ERROR",
		0xB0: "NX_SMTP_INVALID_SERVER_CHALLENGE", 0xB1: "NX_SMTP_OVERSIZE_SERVER_REPLY",
		0xB2: "NX_SMTP_CLIENT_NOT_INTIALIZED",
	} {
		assert.Equal(t, name, number.String())
		assert.Equal(t, fmt.Sprintf("%s (0x%02X)", name, uint32(number)), number.Error())
		assert.Equal(t, uint(number), nx.Code(fmt.Errorf("wrapped: %w", number)))
	}
	assert.Equal(t, "NX_SUCCESS", Status(0).String())
	assert.Equal(t, "NX_SMTP_0xC0", Status(0xC0).String())
}

// The numbers of one layer are not those of another.
func TestStatusIsNotNXStatus(t *testing.T) {
	var err error = fail(mailSend, RcptReplyError, nil)
	assert.ErrorIs(t, err, RcptReplyError)
	assert.NotErrorIs(t, err, nx.Status(RcptReplyError))
}

func TestReplyErrorKeepsTheServersWords(t *testing.T) {
	b := newBench(t, options{}, turnsOf("S: 220 hi\nC: EHLO\nS: 250 hi\nC: MAIL\nS: 250 ok\nC: RCPT\n"+
		"S: 550-5.1.1 No such user\nS: 550-5.1.1 here\x1b[31m\nS: 550 5.1.1 at all\nC: QUIT\nS: 221 bye\n")...)
	err := b.sendMail("x")
	var said *ReplyError
	require.ErrorAs(t, err, &said)
	assert.Equal(t, &ReplyError{
		Status: RcptReplyError, Command: "RCPT TO", Code: 550, Enhanced: "5.1.1",
		Text: "5.1.1 No such user\n5.1.1 here\x1b[31m\n5.1.1 at all",
	}, said)
	assert.True(t, said.Permanent())
	assert.False(t, said.Temporary())
	assert.ErrorIs(t, err, RcptReplyError)
	assert.Equal(t, uint(0xAA), nx.Code(err))
	assert.EqualError(t, err, "smtp.MailSend: NX_SMTP_RCPT_REPLY_ERROR (0xAA): RCPT TO: 550 5.1.1 No such user / 5.1.1 here?[31m / 5.1.1 at all")
	b.balanced(t)
}

func TestReplyErrorTemporary(t *testing.T) {
	for code, want := range map[uint][2]bool{
		0: {}, 220: {}, 354: {}, 421: {true, false}, 451: {true, false}, 550: {false, true}, 600: {},
	} {
		e := &ReplyError{Code: code}
		assert.Equal(t, want, [2]bool{e.Temporary(), e.Permanent()}, "%d", code)
	}
}

func TestEnhancedCode(t *testing.T) {
	for text, want := range map[string]string{
		"5.1.1 no such user": "5.1.1", "2.0.0": "2.0.0", "4.7.500 x": "4.7.500", "5.1.1\nmore": "5.1.1",
		"": "", "no": "", "3.1.1 x": "", "5.1 x": "", "5.1.1.1 x": "", "5.1.1234 x": "", "5..1 x": "", "5.a.1 x": "",
	} {
		assert.Equal(t, want, enhanced(text), "%q", text)
	}
}

// A session that breaks says where and why.
func TestPhaseErrorSaysWhere(t *testing.T) {
	b := newBench(t, options{}, turnsOf("S: 220 hi\nC: EHLO\nS: 250 hi\nC: MAIL\n")...)
	err := b.sendMail("x")
	var broken *PhaseError
	require.ErrorAs(t, err, &broken)
	assert.Equal(t, StateMail, broken.Phase)
	assert.False(t, broken.Undecided)
	assert.ErrorIs(t, err, nx.NoPacket)
	assert.Contains(t, err.Error(), "MAIL: awaiting the reply")
	var said *ReplyError
	assert.False(t, errors.As(err, &said))
	assert.Equal(t, []string{"disconnect 0"}, b.ends, "a broken session ends with a reset")
}

// After the end mark nobody knows.
func TestPhaseErrorUndecided(t *testing.T) {
	b := newBench(t, options{}, turnOf{0, []string{"220 hi\r\n"}}, turnOf{1, []string{"250 hi\r\n"}}, turnOf{1, []string{"250 ok\r\n"}},
		turnOf{1, []string{"250 ok\r\n"}}, turnOf{1, []string{"354 go\r\n"}})
	err := b.sendMail("x")
	var broken *PhaseError
	require.ErrorAs(t, err, &broken)
	assert.Equal(t, StateMessage, broken.Phase)
	assert.True(t, broken.Undecided)
	assert.Contains(t, err.Error(), "the server may have taken the mail")
	assert.Equal(t, nx.Wait(60000), b.maxWait, "ten minutes (RFC 5321 4.5.3.2.6)")
}
