package smtp

import (
	"context"
	"net/netip"
	"sync"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// Client is the control block of an SMTP client (NX_SMTP_CLIENT). It belongs
// to the program and must not be copied. It has one TCP socket, one packet
// pool, one server and one identity, and sends one mail at a time.
//
// The zero Client is not created: [MailSend] answers it with
// NX_SMTP_CLIENT_NOT_INTIALIZED, every other service but [ClientCreate] with
// NX_PTR_ERROR.
type Client struct {
	// Config is read by ClientCreate. Nil means the defaults.
	Config *Config

	turn turn // is taken by a session, and by delete

	mu      sync.Mutex // guards created, and info where it is read by others; taken after the turn
	created bool
	public  ClientInfo

	// Set by create, never changed until delete.
	inst        *ip.Instance
	pool        *packetpool.Pool
	clock       nx.Clock
	recorder    nx.Recorder
	name        string // of the instance
	config      settings
	credentials func() (username, password string) // nothing that prints a client shows them
	from        string
	domain      string
	server      netip.Addr
	t           transport
	packetType  packetpool.PacketType
	payload     uint32 // of a packet of the pool
	chunk       int    // of the body, in one packet

	// Belong to whoever has the turn.
	authType AuthType // a session begins with it
	info     ClientInfo
	reader   lineReader
	buffer   []byte            // a command, or the header
	before   packetpool.Packet // PacketIsReply: the reply read before
}

// ClientInfo is what [ClientInfoGet] answers. In brackets the fields of
// NX_SMTP_CLIENT.
type ClientInfo struct {
	CommandState State     // [cmd_state] StateIdle between mails
	ReplyState   State     // [rsp_state] the same here
	ReplyCode    uint      // [reply_code_status] of the last reply; 0 when none came or it had no code
	MailStatus   Status    // [mail_status] what the server's refusal is, or what the client could not do; 0 also after a time-out or a lost connection
	AuthType     AuthType  // [authentication_type] of the session
	AuthState    AuthState // [authentication_state] of the session
	Mute         bool      // [mute] PacketIsReply: an unfinished 250- was read last
	Secured      bool      // TLS protects, or protected, the connection
	Server       netip.AddrPort
}

// ClientCreate creates an SMTP client on an instance (nxd_smtp_client_create).
// The server is an IPv4 or IPv6 address. What is sent lives in packets of
// clientPool; what is received lives in those of the instance's default pool.
// The client sends nothing yet.
//
// An authenticationType other than NONE, LOGIN and PLAIN is PLAIN.
//
// Errors, in the order in which they are checked: NX_PTR_ERROR (client, inst
// or clientPool nil, clientPool not created, client created already);
// NX_SMTP_INVALID_PARAM (inst not created); NX_IP_ADDRESS_ERROR (no address);
// NX_SIZE_ERROR (username or domain over 40 bytes, password over 20);
// NX_SMTP_INVALID_PARAM (CR, LF or NUL in the domain or the from address, NUL
// in username or password); NX_SIZE_ERROR (from address over 497 bytes);
// NX_SMTP_INVALID_PARAM (the pool's packets do not hold the headers);
// NX_INVALID_PORT; those of tcp.SocketCreate, NX_NOT_ENABLED among them.
// The ledger says which of them release 6.4.2 does not make.
func ClientCreate(client *Client, inst *ip.Instance, clientPool *packetpool.Pool,
	username, password, fromAddress, clientDomain string,
	authenticationType AuthType, serverAddress netip.Addr, port uint) error {
	if client == nil || inst == nil || clientPool == nil {
		return nx.Fail(clientCreate, nx.PtrError, nil)
	}
	if !inst.Created() {
		return fail(clientCreate, InvalidParam, nx.PtrError)
	}
	if !serverAddress.IsValid() {
		return nx.Fail(clientCreate, nx.IPAddressError, nil)
	}
	t := &socketTransport{inst: inst, server: serverAddress.Unmap()}
	return client.create(creation{
		inst: inst, pool: clientPool, clock: inst.Clock(), recorder: inst.Recorder(), name: inst.Name(),
		username: username, password: password, from: fromAddress, domain: clientDomain,
		authType: authenticationType, server: serverAddress.Unmap(), port: port, t: t,
	}, t.create)
}

// ClientDelete deletes a client and its socket (nx_smtp_client_delete). A mail
// under way is waited for; what is left of a connection is closed. The pool is
// the program's.
//
// Errors: NX_PTR_ERROR (client nil or not created); those of tcp.SocketDelete,
// after which the client stands as before.
func ClientDelete(client *Client) error {
	_, clock, ok := client.live()
	if !ok {
		return nx.Fail(clientDelete, nx.PtrError, nil)
	}
	_ = client.turn.take(context.Background(), clock)
	defer client.turn.give()
	if _, _, ok := client.live(); !ok { // deleted while this one waited
		return nx.Fail(clientDelete, nx.PtrError, nil)
	}
	if err := client.t.remove(client.config.DisconnectTimeout, client.as(DeleteRefused)); err != nil {
		return fail(clientDelete, statusOf(err), err)
	}
	client.clear()
	return nil
}

// ClientInfoGet answers the state of a client, also while it sends. It is an
// addition to NetX Duo.
//
// Errors: NX_PTR_ERROR (client nil or not created).
func ClientInfoGet(client *Client) (ClientInfo, error) {
	if _, _, ok := client.live(); !ok {
		return ClientInfo{}, nx.Fail(clientInfoGet, nx.PtrError, nil)
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	return client.public, nil
}

// The Go names of the services, for errors.
const (
	clientCreate  = "smtp.ClientCreate"
	clientDelete  = "smtp.ClientDelete"
	clientInfoGet = "smtp.ClientInfoGet"
	mailSend      = "smtp.MailSend"
)

// live reports a created client, with its instance and clock.
func (c *Client) live() (*ip.Instance, nx.Clock, bool) {
	if c == nil {
		return nil, nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inst, c.clock, c.created
}

// as tells whether the client acts as the release in one way.
func (c *Client) as(d Difference) bool { return c.config.as.has(d) }

func (c *Client) hasCredentials() bool {
	username, password := c.credentials()
	return username != "" && password != ""
}

// publish shows the state to ClientInfoGet.
func (c *Client) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.public = c.info
}
