package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gonetx/netns-tests/mailserver"
	"gonetx/netns-tests/topology"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// local is a namespace for a stack and a server on the kernel's side of its
// device.
func local(t *testing.T) *topology.Local {
	t.Helper()
	device(t)
	l, err := topology.NewLocal()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

// listen opens a port of the host on all addresses, also those to come.
func listen(t *testing.T, h *topology.Host) net.Listener {
	t.Helper()
	l, err := h.Listen(":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func portOf(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }

// toward are the flags of a mail to a server.
func toward(server netip.Addr, port string, more ...string) []string {
	return append([]string{"send", "--server", server.String(), "--port", port,
		"--from", "a@example.com", "--to", "b@example.com", "--subject", "Hello"}, more...)
}

// gateways are the servers of a local topology, one for each family.
var gateways = []netip.Addr{topology.Gateway4.Addr(), topology.Gateway6.Addr()}

// TestServersThatFail is each kind of bad server and what is said of it, over
// both families.
func TestServersThatFail(t *testing.T) {
	// Of who answers the answer is waited for. Who falls silent in the middle has time
	// for what comes before.
	answers := []string{"--reply-timeout", "20s"}
	silent := func(after string) []string { return []string{"--reply-timeout", after} }
	for _, c := range []struct {
		name  string
		serve func(net.Conn) // nil: nobody listens
		args  []string
		code  int
		says  []string
	}{
		{"refusing", nil, answers, exitNoConnection, []string{"no connection to", "NX_NOT_CONNECTED (0x38)", "connection refused"}},
		{"silent", func(c net.Conn) { reads(c, "QUIT") }, silent("300ms"), exitNoConnection,
			[]string{"does not answer in time", "GREETING: awaiting the reply", "NX_NO_PACKET (0x01)"}},
		{"silent in mid-mail", func(c net.Conn) {
			fmt.Fprint(c, "220 hi\r\n")
			reads(c, "EHLO")
			fmt.Fprint(c, "250 hi\r\n")
			reads(c, "QUIT")
		}, silent("1500ms"), exitNoConnection, []string{"does not answer in time", "MAIL: awaiting the reply"}},
		{"resetting", func(c net.Conn) {
			fmt.Fprint(c, "220 hi\r\n")
			reads(c, "EHLO")
			_ = c.(*net.TCPConn).SetLinger(0)
		}, answers, exitNoConnection, []string{"was lost", "EHLO: awaiting the reply", "NX_NOT_CONNECTED (0x38)", "reset"}},
		{"closing", func(c net.Conn) { fmt.Fprint(c, "220 hi\r\n"); reads(c, "EHLO") }, answers, exitNoConnection,
			[]string{"was lost", "EHLO: awaiting the reply", "NX_NOT_CONNECTED (0x38)"}},
		{"lost after the message", func(c net.Conn) {
			for _, turn := range []struct{ reply, until string }{
				{"220 hi", "EHLO"}, {"250 hi", "MAIL"}, {"250 ok", "RCPT"}, {"250 ok", "DATA"}, {"354 go on", "\r\n.\r\n"},
			} {
				fmt.Fprint(c, turn.reply+"\r\n")
				reads(c, turn.until)
			}
		}, answers, exitNoConnection, []string{"the server may have taken the mail", "MESSAGE: awaiting the reply"}},
		{"talking nonsense", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n"); reads(c, "QUIT") }, answers, exitRefused,
			[]string{"does not speak SMTP", "NX_SMTP_GREET_REPLY_ERROR"}},
		{"closed for today", func(c net.Conn) { fmt.Fprint(c, "554-5.3.2 no service\r\n554 5.3.2 come back\r\n"); reads(c, "QUIT") }, answers, exitRefused,
			[]string{"refuses", "greeting: 554 5.3.2 no service / 5.3.2 come back"}},
	} {
		for _, gateway := range gateways {
			t.Run(c.name+" "+gateway.String(), func(t *testing.T) {
				l := local(t)
				port := "9"
				if c.serve != nil {
					listener := listen(t, l.Host)
					speaking(t, listener, c.serve)
					port = portOf(listener)
				}
				r := invocation{args: toward(gateway, port, c.args...), stdin: "Hello.\n", on: l.Host}.run(t)
				assert.Equal(t, c.code, r.code, r.both())
				for _, words := range c.says {
					assert.Contains(t, r.err, words)
				}
				assert.Less(t, r.took, 10*time.Second)
			})
		}
	}
}

func TestServersThatRefuse(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{
		Users: map[string]string{testUser: "another password"},
		Refuse: func(to string) error {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here"}
		},
	})
	defer server.Close()
	none := []string{"NXDUO_USER=", "NXDUO_PASSWORD="}
	for _, gateway := range gateways {
		r := invocation{args: toward(gateway, portOf(listener), "--json"), stdin: "Hello.\n", env: none, on: l.Host}.run(t)
		assert.Equal(t, exitRefused, r.code, r.both())
		assert.Contains(t, r.err, "RCPT TO: 550 5.1.1 no such user here")
		var report sendReport
		require.NoError(t, json.Unmarshal([]byte(r.out), &report))
		assert.Equal(t, &replyReport{Command: "RCPT TO", Code: 550, Enhanced: "5.1.1", Text: "5.1.1 no such user here"}, report.Reply)
		assert.Equal(t, exitRefused, report.Exit)
		assert.Contains(t, report.Status, "NX_SMTP_RCPT_REPLY_ERROR")

		for _, auth := range []string{"plain", "login"} {
			r = invocation{args: toward(gateway, portOf(listener), "--auth", auth, "--verbose"), stdin: "Hello.\n", on: l.Host}.run(t)
			assert.Equal(t, exitRefused, r.code, r.both())
			assert.Contains(t, r.err, "AUTH "+strings.ToUpper(auth)+": 535 5.7.8 Authentication failed")
		}
	}
	assert.Empty(t, server.Mails())
}

func TestWhatCannotBeSent(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	var connected atomic.Bool
	speaking(t, listener, func(net.Conn) { connected.Store(true) })
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"a line break in the recipient", []string{"--to", "b@example.com\r\nDATA"}, "NX_SMTP_INVALID_PARAM"},
		{"a line break in the sender", []string{"--from", "a@example.com\nX"}, "NX_SMTP_INVALID_PARAM"},
		{"a line break in the subject", []string{"--subject", "x\r\nBcc: c@example.com"}, "NX_SMTP_INVALID_PARAM"},
		{"a line break in the domain", []string{"--domain", "x\r\ny"}, "NX_SMTP_INVALID_PARAM"},
		{"a subject too long", []string{"--subject", strings.Repeat("s", 600)}, "NX_SIZE_ERROR"},
		{"a recipient too long", []string{"--to", strings.Repeat("r", 600)}, "NX_SIZE_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := invocation{args: toward(gateways[0], portOf(listener), c.args...), stdin: "Hello.\n", on: l.Host}.run(t)
			assert.Equal(t, exitUsage, r.code, r.both())
			assert.Contains(t, r.err, "this cannot be sent")
			assert.Contains(t, r.err, c.says)
		})
	}
	assert.False(t, connected.Load(), "nothing was sent")
}

// One packet is enough for a mail whose every line fits it; what takes two at a
// time never gets the second, and that is said.
func TestPoolWithOnePacket(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	for _, gateway := range gateways {
		send := func(text string, args ...string) result {
			return invocation{args: toward(gateway, portOf(listener), append(args, "--json")...), stdin: text, on: l.Host}.run(t)
		}
		r := send("Hello.\n", "--pool", "1x1536")
		assert.Equal(t, exitOK, r.code, r.both())

		for _, r := range []result{
			send(strings.Repeat("A line of text.\n", 200), "--pool", "1x1536"),
			send("Hello.\n", "--pool", "1x90"),
		} {
			assert.Equal(t, exitPoolExhausted, r.code, r.both())
			assert.Contains(t, r.err, "a packet pool is exhausted")
			assert.Contains(t, r.err, "NX_NO_PACKET (0x01)")
			var report sendReport
			require.NoError(t, json.Unmarshal([]byte(r.out), &report))
			for _, p := range report.Pools {
				assert.Equal(t, p.Packets, p.After, "%s is full again", p.Name)
			}
		}
	}
	assert.Len(t, server.Mails(), 2)
}

// An instance with one packet takes one frame at a time. The mail arrives, or
// there is no connection; nothing hangs.
func TestInstancePoolWithOnePacket(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	for _, gateway := range gateways {
		r := invocation{
			args:  toward(gateway, portOf(listener), "--ip-pool", "1x1536", "--connect-timeout", "2s", "--reply-timeout", "2s"),
			stdin: "Hello.\n", on: l.Host,
		}.run(t)
		assert.Contains(t, []int{exitOK, exitNoConnection}, r.code, r.both())
	}
}

func TestDeviceGoneInMidMail(t *testing.T) {
	for _, gateway := range gateways {
		t.Run(gateway.String(), func(t *testing.T) {
			l := local(t)
			listener := listen(t, l.Host)
			gone := make(chan error, 1)
			speaking(t, listener, func(c net.Conn) {
				fmt.Fprint(c, "220 hi\r\n")
				reads(c, "EHLO")
				gone <- l.Do(func() error {
					link, err := netlink.LinkByName("victim")
					if err != nil {
						return err
					}
					return netlink.LinkDel(link)
				})
			})
			r := invocation{args: toward(gateway, portOf(listener), "--tun", "victim", "--reply-timeout", "2s"), stdin: "Hello.\n", on: l.Host}.run(t)
			require.NoError(t, <-gone)
			assert.Equal(t, exitNoConnection, r.code, r.both())
			assert.Less(t, r.took, 10*time.Second)
		})
	}
}

// TestThroughThreeNamespaces sends mails over both families through a router,
// on a wide way and on a narrow one, with and without authentication.
func TestThroughThreeNamespaces(t *testing.T) {
	device(t)
	for _, mtu := range []int{0, 1280} {
		t.Run(fmt.Sprintf("MTU %d", mtu), func(t *testing.T) {
			r, err := topology.NewRouted(topology.RoutedConfig{MTU: mtu})
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			listener := listen(t, r.Server)
			server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{testUser: testPassword}})
			defer server.Close()

			text := ".\r\n" + strings.Repeat("A line of a longer mail, with a dot at its end.\r\n", 2000)
			sent := 0
			for _, at := range []netip.Prefix{topology.Server4, topology.Server6} {
				for _, auth := range []string{"none", "plain", "login"} {
					args := toward(at.Addr(), portOf(listener), "--auth", auth, "--verbose", "--reply-timeout", "10s")
					got := invocation{args: args, stdin: text, on: r.Near}.run(t)
					require.Equal(t, exitOK, got.code, got.both())
					sent++
					assert.Contains(t, got.out, "has taken the mail: ")
					assert.Contains(t, got.out, "MAIL FROM:<a@example.com>")

					mails := server.Mails()
					require.Len(t, mails, sent)
					m := mails[sent-1]
					want := strings.ToUpper(auth)
					if auth == "none" {
						want = "PLAIN" // the guide: offered, and there is a user name
					}
					assert.Equal(t, want, m.Mechanism)
					header, body, _ := strings.Cut(string(m.Data), "\r\n\r\n")
					assert.Contains(t, header, "Subject: Hello\r\n")
					assert.True(t, text == body, "%s over %s: the text is not what was sent", auth, at)
				}
			}
		})
	}
}

// TestAdviceWorks follows the advice: where no reply comes back, the commands
// that are printed are those that help, exactly as they are printed.
func TestAdviceWorks(t *testing.T) {
	device(t)
	_, err := exec.LookPath("nft")
	missing(t, "the nft command", err)
	_, err = exec.LookPath("sysctl")
	missing(t, "the sysctl command", err)
	r, err := topology.NewRouted(topology.RoutedConfig{NoForwarding: true, NoReturn: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	listener := listen(t, r.Server)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()

	for _, at := range []netip.Prefix{topology.Server4, topology.Server6} {
		t.Run(at.Addr().String(), func(t *testing.T) {
			send := func(patience string) result {
				args := toward(at.Addr(), portOf(listener), "--connect-timeout", patience, "--reply-timeout", "20s")
				return invocation{args: args, stdin: "Hello.\n", on: r.Near}.run(t)
			}
			got := send("2s")
			require.Equal(t, exitNoConnection, got.code, got.both())
			assert.Contains(t, got.err, "no connection to "+netip.AddrPortFrom(at.Addr(), 0).String()[:5])
			assert.Contains(t, got.err, "NX_NOT_CONNECTED (0x38)")

			commands := advised(got)
			require.GreaterOrEqual(t, len(commands), 4, got.err)
			follow(t, r.Near, commands)
			got = send("20s")
			require.Equal(t, exitOK, got.code, got.both())
		})
	}
	assert.Len(t, server.Mails(), 2)
}

// advised are the commands in an advice.
func advised(r result) (commands []string) {
	for _, line := range strings.Split(r.err, "\n") {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			commands = append(commands, command)
		}
	}
	return commands
}

// follow runs commands on a host, as they are.
func follow(t *testing.T, h *topology.Host, commands []string) {
	t.Helper()
	for _, command := range commands {
		c := exec.Command("sh", "-c", command)
		out := &strings.Builder{}
		c.Stdout, c.Stderr = out, out
		require.NoError(t, h.Start(c))
		require.NoError(t, c.Wait(), "%s\n%s", command, out)
	}
}

// A user without rights is told what root can do for him, and then it works,
// with the device that root made.
func TestUserWithoutRights(t *testing.T) {
	l := local(t)
	for _, command := range []string{"ip", "setpriv"} {
		_, err := exec.LookPath(command)
		missing(t, "the command "+command, err)
	}
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	path, err := program()
	require.NoError(t, err)
	for i, gateway := range gateways {
		name := fmt.Sprintf("user%d", i)
		args := append([]string{"--bounding-set=-all", "--inh-caps=-all", path}, toward(gateway, portOf(listener), "--tun", name)...)
		user := invocation{args: args, stdin: "Hello.\n", on: l.Host}
		r := user.runAs(t, "setpriv")
		require.Equal(t, exitNoTUN, r.code, r.both())
		assert.Contains(t, r.err, "the process has not the capability for it")
		commands := advised(r)
		require.Len(t, commands, 3, r.err)
		follow(t, l.Host, commands)

		r = user.runAs(t, "setpriv")
		require.Equal(t, exitOK, r.code, r.both())
	}
	assert.Len(t, server.Mails(), 2)
}

// Nothing of the host is changed but the device, and that is gone afterwards.
func TestHostStaysAsItWas(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	state := func() (s string) {
		require.NoError(t, l.Do(func() error {
			for _, path := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/all/rp_filter"} {
				s += path + setting(path) + "\n"
			}
			links, err := netlink.LinkList()
			for _, link := range links {
				s += link.Attrs().Name + "\n"
			}
			return err
		}))
		return s
	}
	before := state()
	r := invocation{args: toward(gateways[0], portOf(listener)), stdin: "Hello.\n", on: l.Host}.run(t)
	require.Equal(t, exitOK, r.code, r.both())
	assert.Equal(t, before, state())
}

func TestDeviceInAnotherNamespace(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	for _, gateway := range gateways {
		r := nxduo(t, toward(gateway, portOf(listener), "--netns", l.Path())...)
		require.Equal(t, exitOK, r.code, r.both())
	}
	assert.Len(t, server.Mails(), 2)

	r := nxduo(t, toward(gateways[0], "25", "--netns", "nowhere")...)
	assert.Equal(t, exitNoTUN, r.code, r.both())
	assert.Contains(t, r.err, "/run/netns/nowhere: no such file")
}

// A device that stands already is used as it is, and left.
func TestDeviceThatStands(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{})
	defer server.Close()
	require.NoError(t, l.Do(func() error {
		return netlink.LinkAdd(&netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: "mine"}, Mode: netlink.TUNTAP_MODE_TUN,
			Flags: netlink.TUNTAP_MULTI_QUEUE_DEFAULTS,
		})
	}))
	for _, gateway := range gateways {
		for range 2 {
			r := invocation{args: toward(gateway, portOf(listener), "--tun", "mine"), stdin: "Hello.\n", on: l.Host}.run(t)
			require.Equal(t, exitOK, r.code, r.both())
		}
	}
	assert.Len(t, server.Mails(), 4)
	require.NoError(t, l.Do(func() error {
		_, err := netlink.LinkByName("mine")
		return err
	}), "it still stands")

	r := invocation{args: toward(gateways[0], "25", "--tun", "lo"), stdin: "Hello.\n", on: l.Host}.run(t)
	assert.Equal(t, exitNoTUN, r.code, r.both())
	assert.Contains(t, r.err, "take device lo: the name belongs to a device of another kind")
	r = invocation{args: toward(gateways[0], "25", "--tun", "a name that no device can have"), stdin: "Hello.\n", on: l.Host}.run(t)
	assert.Equal(t, exitNoTUN, r.code, r.both())
}

func TestCredentialsFromAFile(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{testUser: testPassword}})
	defer server.Close()
	for _, text := range []string{testUser + "\n" + testPassword, testUser + "\r\n" + testPassword + "\r\nand more\r\n"} {
		file := filepath.Join(t.TempDir(), "credentials")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		r := invocation{
			args:  toward(gateways[0], portOf(listener), "--auth", "login", "--credentials", file, "--verbose", "--json"),
			stdin: "Hello.\n", env: []string{"NXDUO_USER=root", "NXDUO_PASSWORD=wrong"}, on: l.Host,
		}.run(t)
		require.Equal(t, exitOK, r.code, r.both())
	}
	require.Len(t, server.Mails(), 2)
	assert.Equal(t, testUser, server.Mails()[1].User)
}

func TestInterrupt(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	came := make(chan struct{})
	speaking(t, listener, func(c net.Conn) { close(came); reads(c, "QUIT") })
	path, err := program()
	require.NoError(t, err)
	c, out, errs := invocation{args: toward(gateways[0], portOf(listener)), stdin: "Hello.\n", on: l.Host}.start(t, path)
	<-came
	require.NoError(t, c.Process.Signal(os.Interrupt))
	r := finish(t, c, out, errs)
	assert.Equal(t, exitInterrupted, r.code, r.both())
	assert.Contains(t, r.err, "interrupted")
}

// A server that cannot protect the connection gets neither password nor mail.
func TestProtectionIsDemanded(t *testing.T) {
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{testUser: testPassword}})
	defer server.Close()
	r := invocation{args: toward(gateways[0], portOf(listener), "--auth", "plain", "--tls", "starttls"), stdin: "Hello.\n", on: l.Host}.run(t)
	assert.Equal(t, exitRefused, r.code, r.both())
	assert.Contains(t, r.err, "does not offer what is needed")

	r = invocation{args: toward(gateways[0], portOf(listener), "--tls", "implicit", "--reply-timeout", "2s"), stdin: "Hello.\n", on: l.Host}.run(t)
	assert.Equal(t, exitNoConnection, r.code, r.both())
	assert.Contains(t, r.err, "no protected connection")
	assert.Empty(t, server.Mails())
}
