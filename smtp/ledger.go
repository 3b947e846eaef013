package smtp

import "fmt"

//go:generate go test -run TestLedgerTable -update

// Difference is one way in which NetX Duo's SMTP client, release 6.4.2, acts
// otherwise than this one does by default. It is also the switch that brings
// the release's way back: [Config.Release] turns all on,
// [Config.Differences] single ones. [Ledger] describes them.
type Difference uint8

// The differences, numbered as in the ledger.
const (
	SharedCommandBuffer Difference = iota + 1
	HeaderFailureSwallowed
	DotsNotStuffed
	EndMarkAddsLine
	LineBreaksPassed
	SpaceAfterPath
	PacketIsReply
	LongCodeCrashes
	ChainedReplyRefused
	QuitOverridesOutcome
	ExactCodesOnly
	BareCodeRefused
	AuthWithoutOffer
	PlainWithoutOffer
	AuthTypeSticks
	AuthRepeated
	LoginPromptExact
	EmptyCredentialsSent
	ClearPasswordUnmentioned
	AuthorizationIsUsername
	EightBitUndeclared
	SubjectRaw
	NoDateNoMessageID
	FromByReference
	CreateUnchecked
	DeleteRefused
	ShortTimeouts
	PayloadUnderflows
	ReadsOutOfRange
	KeywordAnywhere
	NoHELO
	SizesFoundLate
	ClosingIgnored
	NoneStaysNone
	PriorityUnused
	BracketsDoubled
	CodeAnywhere
	TimeoutRestarts
	EarlyReplyTaken
	LastWordsLost
	BusyPoolIsEmpty
	EmptyRecipientSent
	MessageInPieces

	differenceCount = iota
)

// Entry is one line of the ledger.
type Entry struct {
	Difference Difference
	Name       string // of the constant
	Release    string // what release 6.4.2 does
	Here       string // what this client does by default
	Instead    string // what happens here with the switch on, where the release crashes, spins or is undefined; "" when it is reproduced
	Source     string // the passage that decides
}

// String answers "NXD-03 DotsNotStuffed".
func (d Difference) String() string {
	if d == 0 || int(d) > differenceCount {
		return fmt.Sprintf("NXD-%02d", uint8(d))
	}
	return fmt.Sprintf("NXD-%02d %s", uint8(d), ledger[d].Name)
}

// Ledger answers all differences in order.
func Ledger() []Entry {
	entries := make([]Entry, 0, differenceCount)
	for d := Difference(1); int(d) <= differenceCount; d++ {
		e := ledger[d]
		e.Difference = d
		entries = append(entries, e)
	}
	return entries
}

// differences is a set of switches that are on.
type differences uint64

func (set differences) has(d Difference) bool { return set&(1<<d) != 0 }

var ledger = [differenceCount + 1]Entry{
	SharedCommandBuffer: {
		Name:    "SharedCommandBuffer",
		Release: "one static 512-byte command buffer serves every client without a lock; commands of two clients mix",
		Here:    "a buffer and a lock for each client; a second mail on one client waits its turn",
		Instead: "the same: a data race has no behaviour to reproduce",
		Source:  "nxd_smtp_client.c, _nx_smtp_buffer",
	},
	HeaderFailureSwallowed: {
		Name:    "HeaderFailureSwallowed",
		Release: "a header that cannot be built or sent is noted and success returned: body and end mark go out without it, then mail_send spins for ever",
		Here:    "the session ends with the status of the failure, before any body",
		Instead: "body and end mark go out without the header, then the call ends with NX_SMTP_INTERNAL_ERROR",
		Source:  "nxd_smtp_client.c, _nx_smtp_utility_send_header_to_server",
	},
	DotsNotStuffed: {
		Name:    "DotsNotStuffed",
		Release: "the body goes out as it is: a leading dot is lost, a line of one dot ends the mail and the rest is read as commands",
		Here:    "a dot is added before each leading dot, and a lone CR or LF becomes CRLF",
		Source:  "RFC 5321 4.5.2, 2.3.8; guide: the body is processed according to the RFC",
	},
	EndMarkAddsLine: {
		Name:    "EndMarkAddsLine",
		Release: "CRLF goes before the final dot always; a body that ends with CRLF gains an empty line",
		Here:    "only when the body does not end with CRLF",
		Source:  "RFC 5321 4.1.1.4",
	},
	LineBreaksPassed: {
		Name:    "LineBreaksPassed",
		Release: "CR and LF in addresses, subject and domain go into commands and header; a NUL ends the text",
		Here:    "CR, LF and NUL are refused with NX_SMTP_INVALID_PARAM, addresses and domain of the client at create, the mail's before connecting; a NUL in the credentials too",
		Source:  "RFC 5321 2.3.8, 4.1.2; RFC 4616 2",
	},
	SpaceAfterPath: {
		Name:    "SpaceAfterPath",
		Release: "MAIL and RCPT have a space between > and CRLF",
		Here:    "none",
		Source:  "RFC 5321 4.1.1.2, 4.1.1.3",
	},
	PacketIsReply: {
		Name:    "PacketIsReply",
		Release: "one received packet is one reply: what a cut leaves over is another reply, a second reply in the packet is lost, and an unfinished 250- keeps the client from sending whatever comes next",
		Here:    "a reply is read by lines however TCP cuts it, and ends at its last line",
		Source:  "RFC 5321 4.2.1",
	},
	LongCodeCrashes: {
		Name:    "LongCodeCrashes",
		Release: "a run of more than three digits in the reply to EHLO is a NULL pointer dereference",
		Here:    "no reply, hence a refusal",
		Instead: "refused with NX_SMTP_HELLO_REPLY_ERROR, as in all other states",
		Source:  "nxd_smtp_client.c, _nx_smtp_utility_parse_server_services",
	},
	ChainedReplyRefused: {
		Name:    "ChainedReplyRefused",
		Release: "a reply longer than a packet of the instance's pool is refused, and a released packet is released again",
		Here:    "its bytes are read as any other",
		Source:  "nxd_smtp_client.c, _nx_smtp_utility_read_server_code",
	},
	QuitOverridesOutcome: {
		Name:    "QuitOverridesOutcome",
		Release: "no reply to QUIT, or a broken one, replaces the outcome: an accepted mail is reported as failed",
		Here:    "the outcome is the reply to the message, or the refusal; QUIT changes nothing and is waited for QuitTimeout at most",
		Source:  "RFC 5321 4.1.1.10, 6.1",
	},
	ExactCodesOnly: {
		Name:    "ExactCodesOnly",
		Release: "exactly 220, 250 and 354 count; 251 and 252 to RCPT are refusals",
		Here:    "the first digit decides",
		Source:  "RFC 5321 4.2, 4.3.1, 4.3.2",
	},
	BareCodeRefused: {
		Name:    "BareCodeRefused",
		Release: "a code directly before CRLF is no code",
		Here:    "text after the code is optional",
		Source:  "RFC 5321 4.2, 4.2.1",
	},
	AuthWithoutOffer: {
		Name:    "AuthWithoutOffer",
		Release: "without an AUTH line AUTH is sent with the type of the client",
		Here:    "AUTH PLAIN is sent; a server that does not know it has refused the mail in its own words",
		Source:  "guide: a server that lists no type is taken to want PLAIN",
	},
	PlainWithoutOffer: {
		Name:    "PlainWithoutOffer",
		Release: "when the AUTH line has other mechanisms only, PLAIN is tried",
		Here:    "the session ends with NX_SMTP_AUTH_REPLY_ERROR before AUTH; a client without authentication goes on without",
		Source:  "RFC 4954 3",
	},
	AuthTypeSticks: {
		Name:    "AuthTypeSticks",
		Release: "a switch of the authentication type holds for all later mails",
		Here:    "each session chooses anew from the type given at create",
		Source:  "nxd_smtp_client.c, _nx_smtp_utility_parse_server_services",
	},
	AuthRepeated: {
		Name:    "AuthRepeated",
		Release: "a 2xx other than 235, 221 and 252 to AUTH makes the client send the same line again, and a further 334 the same answer, without end",
		Here:    "such a 2xx ends the exchange, and the server's word on MAIL decides; a 334 too many is cancelled",
		Instead: "repeated 100 times, then NX_SMTP_AUTH_REPLY_ERROR",
		Source:  "RFC 4954 4",
	},
	LoginPromptExact: {
		Name:    "LoginPromptExact",
		Release: "a LOGIN prompt must decode to Username: or Password:; anything else is answered by QUIT inside the exchange",
		Here:    "other prompts are answered by position, username first; what cannot be answered is cancelled with *",
		Source:  "RFC 4954 4 (cancel); LOGIN has no standard, servers prompt as they like",
	},
	EmptyCredentialsSent: {
		Name:    "EmptyCredentialsSent",
		Release: "an empty username or password is offered; its base64 length is not initialised (seen: an empty line)",
		Here:    "a client for PLAIN or LOGIN without username or password is refused with NX_SMTP_AUTHENTICATION_ERROR before connecting",
		Source:  "RFC 4616 2",
	},
	ClearPasswordUnmentioned: {
		Name:    "ClearPasswordUnmentioned",
		Release: "the password crosses the open connection without a word",
		Here:    "a warning event; Config.RequireTLS refuses",
		Source:  "RFC 4954 4, 14; RFC 4616 6",
	},
	AuthorizationIsUsername: {
		Name:    "AuthorizationIsUsername",
		Release: "PLAIN names the username as authorization identity too",
		Here:    "the authorization identity is empty",
		Source:  "RFC 4616 2",
	},
	EightBitUndeclared: {
		Name:    "EightBitUndeclared",
		Release: "the header says 8bit always, MAIL has no BODY, and 8-bit bytes go to any server",
		Here:    "7bit for ASCII; 8bit with BODY=8BITMIME when the body needs it and the server offers it; else quoted-printable, as also for lines over 998 bytes and for NUL. Addresses that are not ASCII need SMTPUTF8",
		Source:  "RFC 6152 3; RFC 2045 6; RFC 6531 3.4; RFC 5322 2.1.1",
	},
	SubjectRaw: {
		Name:    "SubjectRaw",
		Release: "the subject goes out as it is, on one line",
		Here:    "encoded when it is not plain ASCII, and folded",
		Source:  "RFC 2047; RFC 5322 2.2.3",
	},
	NoDateNoMessageID: {
		Name:    "NoDateNoMessageID",
		Release: "no Date, no Message-ID",
		Here:    "both",
		Source:  "RFC 5322 3.6",
	},
	FromByReference: {
		Name:    "FromByReference",
		Release: "the from address is kept as a pointer",
		Here:    "copied, as everything given at create",
		Instead: "the same: a Go string cannot change",
		Source:  "nxd_smtp_client.c, _nxd_smtp_client_create",
	},
	CreateUnchecked: {
		Name:    "CreateUnchecked",
		Release: "create looks neither at TCP nor at the pool, the port (cut to 16 bits) or a client that stands already; mail_send without TCP and a second create crash, a pool that cannot work shows at the first command",
		Here:    "NX_NOT_ENABLED, NX_SMTP_INVALID_PARAM, NX_INVALID_PORT and NX_PTR_ERROR at create",
		Instead: "no crash: mail_send without TCP answers NX_NOT_ENABLED, a second create NX_PTR_ERROR",
		Source:  "guide: create; nx_tcp_socket_create",
	},
	DeleteRefused: {
		Name:    "DeleteRefused",
		Release: "delete closes only a connection that is ESTABLISHED; in any other state it answers NX_STILL_BOUND for ever",
		Here:    "whatever is left of a connection is closed",
		Source:  "guide: delete closes the connection and unbinds",
	},
	ShortTimeouts: {
		Name:    "ShortTimeouts",
		Release: "10 s for the greeting and each reply, 30 s after the end mark, 5 s to send a block",
		Here:    "5 min, 10 min and 3 min; Config sets each",
		Source:  "RFC 5321 4.5.3.2",
	},
	PayloadUnderflows: {
		Name:    "PayloadUnderflows",
		Release: "the size of a body chunk is payload less IP and TCP headers, without the 16 bytes of the physical header: a full chunk takes two packets, and below 40 bytes the figure wraps",
		Here:    "the same size, because the guide counts so; a payload too small for the headers is refused at create",
		Instead: "the same: no packet can be allocated from such a pool",
		Source:  "guide: packet payload",
	},
	ReadsOutOfRange: {
		Name:    "ReadsOutOfRange",
		Release: "the parser looks three bytes before a code and one behind the packet",
		Here:    "only inside the packet",
		Instead: "the same: what lies there is chance",
		Source:  "nxd_smtp_client.c, _nx_smtp_parse_response",
	},
	KeywordAnywhere: {
		Name:    "KeywordAnywhere",
		Release: "AUTH, and after it LOGIN and PLAIN, are found anywhere in the reply to EHLO, parts of words and host names included, but not at its very end; also when EHLO is refused",
		Here:    "line by line and whole words, in an accepted EHLO",
		Source:  "RFC 5321 4.1.1.1; RFC 4954 3",
	},
	NoHELO: {
		Name:    "NoHELO",
		Release: "a refused EHLO ends the session",
		Here:    "500, 502, 504 and 550 bring HELO; 501 brings EHLO once more with the address in brackets, which is also used for an empty domain",
		Source:  "RFC 5321 3.2, 4.1.1.1, 4.1.3; guide: HELO is among the commands used",
	},
	SizesFoundLate: {
		Name:    "SizesFoundLate",
		Release: "a from address over 497 bytes, a recipient over 499 and a subject over 512 are found in mid-session, the subject after DATA was accepted",
		Here:    "NX_SIZE_ERROR before connecting, the from address at create",
		Source:  "RFC 5321 4.5.3.1",
	},
	ClosingIgnored: {
		Name:    "ClosingIgnored",
		Release: "421 is a refusal as others are: QUIT goes to a server that has closed, and the status may become NX_NOT_CONNECTED",
		Here:    "the connection is closed at once and the 421 reported",
		Source:  "RFC 5321 3.8",
	},
	NoneStaysNone: {
		Name:    "NoneStaysNone",
		Release: "a client without authentication never authenticates",
		Here:    "when the server offers AUTH and the client has a username and a password, it switches to PLAIN (or to LOGIN, when only that is offered)",
		Source:  "guide: a client of type NONE switches to PLAIN",
	},
	PriorityUnused: {
		Name:    "PriorityUnused",
		Release: "the priority is stored and has no effect",
		Here:    "LOW and HIGH are header fields, Importance and X-Priority",
		Source:  "guide: the priority level at which the mail is delivered; RFC 2156 5.3.4",
	},
	BracketsDoubled: {
		Name:    "BracketsDoubled",
		Release: "addresses in angle brackets, as the guide's third chapter has them, are sent as <<...>>",
		Here:    "a pair of brackets around an address is taken off",
		Source:  "guide, chapter 3, examples; RFC 5321 4.1.2",
	},
	CodeAnywhere: {
		Name:    "CodeAnywhere",
		Release: "the code is the first run of digits before a blank or a dash, whatever stands before it, or one at the very end",
		Here:    "three digits at the start of the line",
		Source:  "RFC 5321 4.2",
	},
	TimeoutRestarts: {
		Name:    "TimeoutRestarts",
		Release: "each packet of a reply starts the time-out again",
		Here:    "the time-out is for the whole reply",
		Source:  "RFC 5321 4.5.3.2",
	},
	EarlyReplyTaken: {
		Name:    "EarlyReplyTaken",
		Release: "what the server sent before a command counts as the reply to it, before the end mark too",
		Here:    "a refusal that is there before the command is reported, anything else is out of step; the session ends",
		Source:  "RFC 5321 4.3.1",
	},
	LastWordsLost: {
		Name:    "LastWordsLost",
		Release: "when sending fails, a reply that has arrived meanwhile is not read",
		Here:    "it is read, and reported when it is a refusal",
		Source:  "RFC 5321 3.8, 4.2.5",
	},
	BusyPoolIsEmpty: {
		Name:    "BusyPoolIsEmpty",
		Release: "2 s after the pool ran empty the session ends, also when all packets are this client's own and wait for the peer",
		Here:    "while packets of the session wait for the peer, an empty pool is waited for as long as a block may take to send",
		Source:  "RFC 5321 4.5.3.2.5",
	},
	EmptyRecipientSent: {
		Name:    "EmptyRecipientSent",
		Release: "an empty recipient is sent as RCPT TO:<>",
		Here:    "refused with NX_SMTP_INVALID_PARAM before connecting",
		Source:  "RFC 5321 4.1.1.3",
	},
	MessageInPieces: {
		Name:    "MessageInPieces",
		Release: "the header is a packet of its own, of whatever length, and so is the end mark: three segments at least for a mail",
		Here:    "header, body and end mark fill packets one after the other; a mail that fits is one segment",
		Source:  "RFC 1122 4.2.3.4; what is in a segment is no part of RFC 5321",
	},
}
