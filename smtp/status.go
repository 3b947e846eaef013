package smtp

import "fmt"

// Status is a status word of nxd_smtp_client.h. The numbers start at 0xA0, as
// those of other NetX Duo add-ons do, so this is a type of its own beside
// [gonetx/packetpool/nx.Status]. It is an error value: services return it
// wrapped in an nx.Error when they do not succeed.
type Status uint32

// The status words of nxd_smtp_client.h.
const (
	AuthenticationError     Status = 0xA0 // here: no credentials to offer, or a peer that cannot be trusted with them
	OversizeMailData        Status = 0xA1
	InvalidServerReply      Status = 0xA2
	InternalError           Status = 0xA3
	ServerErrorCodeReceived Status = 0xA4
	InvalidParam            Status = 0xA5
	PacketAllocateError     Status = 0xA6
	GreetReplyError         Status = 0xA7
	HelloReplyError         Status = 0xA8
	MailReplyError          Status = 0xA9
	RcptReplyError          Status = 0xAA
	MessageReplyError       Status = 0xAB
	DataReplyError          Status = 0xAC
	AuthReplyError          Status = 0xAD
	ServerErrorReply        Status = 0xAE
	TransmitError           Status = 0xAF
	InvalidServerChallenge  Status = 0xB0
	OversizeServerReply     Status = 0xB1
	ClientNotInitialized    Status = 0xB2 // its text has NetX Duo's spelling
)

var statusNames = map[Status]string{
	0:                       "NX_SUCCESS",
	AuthenticationError:     "NX_SMTP_AUTHENTICATION_ERROR",
	OversizeMailData:        "NX_SMTP_OVERSIZE_MAIL_DATA",
	InvalidServerReply:      "NX_SMTP_INVALID_SERVER_REPLY",
	InternalError:           "NX_SMTP_INTERNAL_ERROR",
	ServerErrorCodeReceived: "NX_SMTP_SERVER_ERROR_CODE_RECEIVED",
	InvalidParam:            "NX_SMTP_INVALID_PARAM",
	PacketAllocateError:     "NX_SMTP_PACKET_ALLOCATE_ERROR",
	GreetReplyError:         "NX_SMTP_GREET_REPLY_ERROR",
	HelloReplyError:         "NX_SMTP_HELLO_REPLY_ERROR",
	MailReplyError:          "NX_SMTP_MAIL_REPLY_ERROR",
	RcptReplyError:          "NX_SMTP_RCPT_REPLY_ERROR",
	MessageReplyError:       "NX_SMTP_MESSAGE_REPLY_ERROR",
	DataReplyError:          "NX_SMTP_DATA_REPLY_ERROR",
	AuthReplyError:          "NX_SMTP_AUTH_REPLY_ERROR",
	ServerErrorReply:        "NX_SMTP_SERVER_ERROR_REPLY",
	TransmitError:           "NX_SMTP_TRANSMIT_ERROR",
	InvalidServerChallenge:  "NX_SMTP_INVALID_SERVER_CHALLENGE",
	OversizeServerReply:     "NX_SMTP_OVERSIZE_SERVER_REPLY",
	ClientNotInitialized:    "NX_SMTP_CLIENT_NOT_INTIALIZED",
}

// String answers NetX Duo's name, "NX_SMTP_RCPT_REPLY_ERROR".
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("NX_SMTP_0x%02X", uint32(s))
}

// Error answers name and number, "NX_SMTP_RCPT_REPLY_ERROR (0xAA)".
func (s Status) Error() string { return fmt.Sprintf("%s (0x%02X)", s.String(), uint32(s)) }

// StatusCode answers the number, for nx.Code.
func (s Status) StatusCode() uint { return uint(s) }
