package parity

// verb is one thing that can be done, and what may be said with it.
type verb struct {
	who     string   // "stack peer", "wire", "time"
	operand operand  // what follows the verb
	options []string // names of name=value
	nxOnly  string   // why the kernel cannot do it; "": it can
	help    string
}

// operand is what follows a verb without a name.
type operand uint8

const (
	none operand = iota
	port
	size
	sizeOrEnd // a size, "end", or nothing: one message
	count
	duration
	rest // the rest of the line
)

const bothSides = "stack peer"

// verbs are all verbs of the format. [Help] prints them.
var verbs = map[string]verb{
	"listen":   {bothSides, port, []string{"queue", "at"}, "", "wait for connections to a port"},
	"accept":   {bothSides, none, []string{"wait", "at"}, "", "take a connection: the stack answers a SYN only now"},
	"connect":  {bothSides, port, []string{"to", "from", "wait", "at"}, "", "connect to a port of the other side, or to=absent, unreachable, nowhere, zero, multicast, itself"},
	"send":     {bothSides, size, []string{"in", "wait", "at"}, "", "send so many bytes, in messages of one MSS or of in=SIZE"},
	"receive":  {bothSides, sizeOrEnd, []string{"wait", "at"}, "", "receive so many bytes and compare them; \"end\": all that comes; nothing: what comes next"},
	"shutdown": {bothSides, none, []string{"at"}, "", "end this direction, and go on receiving"},

	"disconnect": {bothSides, none, []string{"wait", "at"}, "", "end this direction and wait for the end of the other"},
	"finish":     {bothSides, none, []string{"wait", "at"}, "", "receive until the other side has ended its direction, then end this one"},
	"reset":      {bothSides, none, []string{"at"}, "", "end the connection with a RST"},
	"unaccept":   {bothSides, none, []string{"at"}, "", "make a server socket ready for relisten"},
	"relisten":   {bothSides, port, []string{"at"}, "", "take the next connection to a port"},
	"unlisten":   {bothSides, port, nil, "", "stop listening"},

	"state": {bothSides, none, []string{"wait", "at"}, "", "the state of a socket; it waits for the one behind ->"},
	"ping":  {bothSides, size, []string{"to", "wait"}, "", "send an echo request with so many bytes"},

	"take":    {bothSides, count, []string{"wait"}, "the kernel has no packet pool", "take packets of the pool, and keep them"},
	"give":    {bothSides, none, nil, "the kernel has no packet pool", "give them back"},
	"address": {bothSides, rest, nil, "the kernel's address is the topology's", "\"remove\" or \"restore\" the address of the family"},

	"mail":       {"stack", size, []string{"auth", "password", "wait"}, "the kernel has no mail client", "send a mail with so many bytes of body to port 25; auth=none, plain or login"},
	"serve-mail": {"peer", none, []string{"auth", "refuse", "code", "silent", "close", "reset", "bare", "at", "wait"}, "", "take a connection and play a mail server; refuse=, silent=, close=, reset= PHASE"},

	"faults": {"wire", rest, nil, "", "change the faults of the stack's link: as ip/link/fault reads them, or \"none\""},
	"unplug": {"wire", none, nil, "", "pull the stack's cable (at ram)"},
	"plug":   {"wire", none, nil, "", "put it back"},

	"sleep": {"time", duration, nil, "", "let time go by"},
	"join":  {"time", none, nil, "", "wait for the actions in the background"},
}

// places to connect to and to ping.
var destinations = map[string]string{
	"peer":        "the other side",
	"absent":      "an address on the way that nobody has: silence",
	"unreachable": "an address of which a router says that it cannot be reached",
	"nowhere":     "an address without a route (the stack has no gateway then)",
	"zero":        "the unspecified address",
	"multicast":   "a multicast address",
	"itself":      "the own address",
}

// phases of a session in which a mail server may misbehave.
var phases = []string{"greeting", "ehlo", "helo", "auth", "password", "mail", "rcpt", "data", "message", "quit"}

// words are the outcomes, besides statuses of NetX Duo and states of a socket.
var words = map[string]string{
	"ok":           "it did what it should",
	"any":          "whatever comes (in an expectation)",
	"refused":      "the other side has sent a RST to the SYN",
	"reset":        "the other side has sent a RST",
	"timed-out":    "no answer in time",
	"no-data":      "nothing came in time; the connection stands",
	"unreachable":  "the network says that the way does not exist",
	"closed":       "the other side has ended its direction",
	"disconnected": "this side has ended the connection",
	"link-down":    "the cable is unplugged",
	"full":         "the window, the queue or the pool has no room",
	"bad-address":  "the address is not one to connect to, or there is no route",
	"no-reply":     "no echo reply in time",
	"corrupt":      "other bytes came than were sent",
	"mail-refused": "the mail server has refused",
	"stuck":        "it did not return",
	"failed":       "something else, which the status tells",
}
