package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"gonetx/smtp"
)

// plan is what the flags and the environment of "nxduo send" come to, checked
// before anything is opened.
type plan struct {
	at       netip.AddrPort
	name     string // of the server, when it was given by name
	address  netip.Prefix
	gateway  netip.Addr
	netns    string // path; empty: ours
	domain   string
	auth     smtp.AuthType
	username string
	password string
	body     []byte
}

// where names the server in messages.
func (p *plan) where() string {
	if p.name == "" {
		return p.at.String()
	}
	return fmt.Sprintf("%s (%s)", p.name, p.at)
}

func (c *sendCommand) plan(std streams) (*plan, error) {
	p := &plan{domain: c.Domain, netns: c.namespace()}
	if p.domain == "" {
		_, p.domain, _ = strings.Cut(strings.TrimSuffix(c.From, ">"), "@")
	}
	if c.Port == 0 {
		return nil, usage("--port 0 is no port")
	}
	if c.ConnectTimeout <= 0 || c.ReplyTimeout < 0 {
		return nil, usage("a timeout must be longer than nothing")
	}
	if err := c.credentials(p); err != nil {
		return nil, err
	}
	if err := c.way(p, "--server", c.Server, c.Port); err != nil {
		return nil, err
	}
	if isTerminal(std.in) {
		fmt.Fprintln(std.err, "Type the mail; Ctrl-D on an empty line ends it.")
	}
	body, err := io.ReadAll(std.in)
	if err != nil {
		return nil, &failure{code: exitUsage, what: "standard input", err: err}
	}
	if p.body = body; len(body) == 0 {
		return nil, usage("standard input is empty: it is the text of the mail")
	}
	return p, nil
}

// credentials takes user name and password from the file or the environment.
func (c *sendCommand) credentials(p *plan) error {
	p.auth = map[string]smtp.AuthType{"none": smtp.AuthNone, "plain": smtp.AuthPlain, "login": smtp.AuthLogin}[c.Auth]
	p.username, p.password = os.Getenv("NXDUO_USER"), os.Getenv("NXDUO_PASSWORD")
	if c.Credentials != "" {
		b, err := os.ReadFile(c.Credentials)
		if err != nil {
			return &failure{code: exitUsage, what: "--credentials", err: err}
		}
		user, rest, _ := bytes.Cut(b, []byte("\n"))
		password, _, _ := bytes.Cut(rest, []byte("\n"))
		p.username, p.password = strings.TrimSuffix(string(user), "\r"), strings.TrimSuffix(string(password), "\r")
	}
	if p.auth != smtp.AuthNone && (p.username == "" || p.password == "") {
		return usage("--auth %s needs a user name and a password: NXDUO_USER and NXDUO_PASSWORD, or --credentials", c.Auth)
	}
	return nil
}

// poolFlag is the size of a pool, written 9x800.
type poolFlag poolSize

// UnmarshalText reads "9x800".
func (f *poolFlag) UnmarshalText(text []byte) error {
	count, payload, _ := strings.Cut(string(text), "x")
	n, err1 := strconv.ParseUint(count, 10, 32)
	bytes, err2 := strconv.ParseUint(payload, 10, 32)
	const most = 1 << 30
	if err1 != nil || err2 != nil || n == 0 || bytes == 0 || n > most || bytes > most || n*(bytes+64) > most {
		return fmt.Errorf("%q is not a number of packets and their bytes, such as 16x1536, up to 1 GiB", text)
	}
	*f = poolFlag(packets(uint32(n), uint32(bytes)))
	return nil
}
