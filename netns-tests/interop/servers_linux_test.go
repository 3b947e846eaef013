package interop

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gonetx/smtp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Other servers than Postfix. Debian's packages of mail servers exclude one
// another, so those of Exim and OpenSMTPD are unpacked by .ci/run deps and not
// installed:
//
//	~/.cache/gonetx/servers/usr/sbin/exim4
//
// They run as Postfix does, in file systems in memory, and hand on what they
// take in the same way.

// unpacked answers the path of a program.
func unpacked(t *testing.T, program string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	path := filepath.Join(cache, "gonetx", "servers", "usr", "sbin", program)
	if _, err := os.Stat(path); err != nil {
		skip(t, "%s is not there: .ci/run deps unpacks it", path)
	}
	return path
}

// scratch is where servers have their files: a file system in memory.
const scratch = "/mnt"

func put(t *testing.T, name, content string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(scratch, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// copied is a file in the scratch file system.
func copied(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return put(t, filepath.Join("bin", filepath.Base(path)), string(content), 0o755)
}

// users makes users that the machine does not have, for the tests alone. It
// answers the identity of the first.
func users(t *testing.T, names ...string) int {
	t.Helper()
	const first = 61100
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := string(content)
		for i, name := range names {
			if file == "/etc/group" {
				lines += fmt.Sprintf("%s:x:%d:\n", name, first+i)
			} else {
				lines += fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", name, first+i, first+i)
			}
		}
		require.NoError(t, unix.Mount(put(t, filepath.Base(file), lines, 0o644), file, "", unix.MS_BIND, ""))
		t.Cleanup(func() { _ = unix.Unmount(file, unix.MNT_DETACH) })
	}
	return first
}

// kind is what a server is like.
type kind struct {
	noTLS bool // nor AUTH, which the server offers behind TLS only
}

// testMails sends what every server takes, and what every server refuses.
func testMails(t *testing.T, w *world, cert certificate, k kind) {
	protected := smtp.Config{TLS: smtp.StartTLS, RequireTLS: true, RootCAs: cert.roots}
	auth := func(kind smtp.AuthType, password string) letter {
		return letter{user: saslUser, password: password, auth: kind, to: "member@example.test"}
	}
	succeeded := func(t *testing.T, info smtp.ClientInfo, _ receipt) {
		assert.Equal(t, smtp.AuthenticationSucceeded, info.AuthState)
	}
	secured := func(t *testing.T, info smtp.ClientInfo, _ receipt) { assert.True(t, info.Secured) }
	for i, family := range families {
		if i > 0 && testing.Short() {
			continue // the servers differ, and do not care for the family
		}
		t.Run(family.name, func(t *testing.T) {
			for name, row := range map[string]struct {
				letter
				check func(*testing.T, smtp.ClientInfo, receipt)
			}{
				"none":           {letter{}, nil},
				"PLAIN":          {auth(smtp.AuthPlain, saslWord), succeeded},
				"LOGIN":          {auth(smtp.AuthLogin, saslWord), succeeded},
				"switch":         {auth(smtp.AuthNone, saslWord), succeeded},
				"dots":           {letter{body: ".\r\n..\r\n.dot\r\n\r\n.\r\nQUIT\r\n"}, nil},
				"bare line ends": {letter{body: "a\n.\nb\r.\rc\n.\r\nd\r\n.\n"}, nil},
				"no line end":    {letter{body: "no line end"}, nil},
				"8 bit":          {letter{body: "Grüße, 世界\r\n"}, nil},
				"long lines":     {letter{body: strings.Repeat("x", 5000) + "\r\n." + strings.Repeat("y", 998) + "\r\n"}, nil},
				"998 bytes":      {letter{body: strings.Repeat("x", 998) + "\r\n"}, nil},
				"1 MB":           {letter{body: lines(1 << 20)}, nil},
				"STARTTLS":       {letter{config: protected, body: lines(1 << 17)}, secured},
				"implicit TLS":   {letter{config: smtp.Config{TLS: smtp.ImplicitTLS, RootCAs: cert.roots}, port: implicitPort}, secured},
				"brackets":       {letter{to: "<user@example.test>"}, nil},
				"underscore":     {letter{domain: "a_b.example.test"}, nil},
			} {
				if k.noTLS && (row.user != "" || row.config.TLS != smtp.NoTLS) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					info, err := w.send(t, family.server, row.letter)
					require.NoError(t, err)
					r := w.receive(t)
					want := row.body
					if want == "" {
						want = "Hello\r\n"
					}
					if want = wireLines(want); want != r.body {
						t.Errorf("%d bytes sent, %d arrived: %.200q", len(want), len(r.body), r.body)
					}
					if row.check != nil {
						row.check(t, info, r)
					}
				})
			}
			for name, row := range map[string]struct {
				letter
				status    smtp.Status
				command   string
				temporary bool
			}{
				"bad password, PLAIN": {auth(smtp.AuthPlain, "Sesame,open2"), smtp.AuthReplyError, "AUTH PLAIN", false},
				"bad password, LOGIN": {auth(smtp.AuthLogin, "Sesame,open2"), smtp.AuthReplyError, "AUTH LOGIN", false},
				"refused recipient":   {letter{to: "nobody@example.test"}, smtp.RcptReplyError, "RCPT TO", false},
				"members only":        {letter{to: "member@example.test"}, smtp.RcptReplyError, "RCPT TO", false},
				"too large":           {letter{body: lines(3 << 20)}, smtp.MessageReplyError, "message", false},
			} {
				if k.noTLS && row.user != "" {
					continue
				}
				t.Run(name, func(t *testing.T) {
					_, err := w.send(t, family.server, row.letter)
					require.ErrorIs(t, err, row.status)
					var said *smtp.ReplyError
					require.ErrorAs(t, err, &said)
					assert.Equal(t, row.command, said.Command)
					assert.Equal(t, row.temporary, said.Temporary(), "%v", said)
					t.Log(err)
				})
			}
			t.Run("release", func(t *testing.T) {
				_, err := w.send(t, family.server, letter{config: smtp.Config{Release: true}})
				require.NoError(t, err)
				assert.Equal(t, "Hello\r\n\r\n", w.receive(t).body)
			})
			w.nothingElse(t)
		})
	}
	w.secretless(t, saslWord, "Sesame,open2", encode(saslWord), encode("\x00"+saslUser+"\x00"+saslWord))
}

const eximConfig = `exim_path = %[1]s
exim_user = %[2]d
exim_group = %[2]d
never_users =
deliver_drop_privilege
keep_environment =
primary_hostname = exim.example.test
spool_directory = /mnt/exim
log_file_path = /mnt/exim/%%slog
pid_file_path = /mnt/exim/pid
daemon_smtp_ports = 25 : 465
tls_on_connect_ports = 465
tls_advertise_hosts = *
tls_certificate = /mnt/cert.pem
tls_privatekey = /mnt/key.pem
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 2000000
helo_allow_chars = _
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  deny  local_parts = nobody
        message = 5.1.1 there is nobody of that name here
  accept local_parts = member
        authenticated = *
  deny  local_parts = member
        message = 5.7.0 members only
  accept domains = example.test
data:
  accept
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = 2525
  hosts_avoid_tls = *
  allow_localhost
  message_linelength_limit = 20000
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{%[3]s}}{eq{$auth3}{${readfile{/mnt/password}{}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User Name : Password
  server_condition = ${if and{{eq{$auth1}{%[3]s}}{eq{$auth2}{${readfile{/mnt/password}{}}}}}}
  server_set_id = $auth1
`

func TestExim(t *testing.T) {
	w := newWorld(t)
	path := unpacked(t, "exim4")
	manyUsers(t)
	cert := newCertificate(t, "exim.example.test")
	memory(t, scratch, "mode=755")
	id := users(t, "Debian-exim")
	for _, file := range []string{put(t, "cert.pem", cert.chain, 0o644), put(t, "key.pem", cert.key, 0o600), put(t, "password", saslWord, 0o600), put(t, "exim/.keep", "", 0o600)} {
		require.NoError(t, os.Chown(file, id, id))
	}
	require.NoError(t, os.Chown(scratch+"/exim", id, id))
	// Exim runs itself again as its user, who may not look into a home.
	path = copied(t, path)
	config := put(t, "exim.conf", fmt.Sprintf(eximConfig, path, id, saslUser), 0o644)
	t.Cleanup(func() {
		if log, err := os.ReadFile(scratch + "/exim/mainlog"); err == nil && t.Failed() {
			t.Logf("exim wrote:\n%s", log)
		}
	})
	w.start(t, "listening for SMTP", path, "-C", config, "-bdf", "-d-all+receive")
	testMails(t, w, cert, kind{})
}

const opensmtpdConfig = `smtp max-message-size 2000000
listen on 10.77.0.1 port 25 hostname smtpd.example.test
listen on fd77::1 port 25 hostname smtpd.example.test
action sink relay host smtp://127.0.0.1:2525
match from any for rcpt-to "nobody@example.test" reject
match from any for rcpt-to "member@example.test" reject
match from any for domain "example.test" action sink
`

func TestOpenSMTPD(t *testing.T) {
	w := newWorld(t)
	path := unpacked(t, "smtpd")
	manyUsers(t)
	cert := newCertificate(t, "smtpd.example.test")
	memory(t, scratch, "mode=755")
	memory(t, "/var/spool", "mode=755")
	memory(t, "/var/lib", "mode=755")
	require.NoError(t, os.MkdirAll("/var/lib/opensmtpd/empty", 0o755))
	require.NoError(t, os.MkdirAll("/var/spool/smtpd", 0o711))
	id := users(t, "opensmtpd", "opensmtpq")
	for _, dir := range []struct {
		name     string
		mode     fs.FileMode
		uid, gid int
	}{
		{"corrupt", 0o700, id + 1, 0}, {"incoming", 0o700, id + 1, 0}, {"offline", 0o770, 0, id + 1}, {"purge", 0o700, id + 1, 0},
		{"queue", 0o700, id + 1, 0}, {"temporary", 0o700, id + 1, 0},
	} {
		path := filepath.Join("/var/spool/smtpd", dir.name)
		require.NoError(t, os.Mkdir(path, dir.mode))
		require.NoError(t, os.Chmod(path, dir.mode))
		require.NoError(t, os.Chown(path, dir.uid, dir.gid))
	}
	config := put(t, "smtpd.conf", opensmtpdConfig, 0o644)
	w.start(t, "smtp: will accept", path, "-d", "-v", "-f", config)
	// Debian 12's with OpenSSL 3 ends every handshake with "missing private key",
	// openssl s_client's too.
	testMails(t, w, cert, kind{noTLS: true})
}

const aiosmtpdProgram = `
import asyncio, smtplib, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"user" and data.password == open("/mnt/password", "rb").read(), handled=False)

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 there is nobody of that name here"
        if address.startswith("member@") and not session.authenticated:
            return "550 5.7.0 members only"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        def on():
            with smtplib.SMTP("127.0.0.1", 2525) as to:
                to.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.original_content, ["BODY=8BITMIME"])
        await asyncio.get_running_loop().run_in_executor(None, on)
        return "250 2.0.0 OK"

async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/mnt/cert.pem", "/mnt/key.pem")
    def server(tls):
        return lambda: SMTP(Handler(), data_size_limit=2000000, hostname="aio.example.test", enable_SMTPUTF8=True, decode_data=False,
                            tls_context=tls, authenticator=authenticate, auth_require_tls=False, loop=loop)
    loop = asyncio.get_running_loop()
    for address in "10.77.0.1", "fd77::1":
        await loop.create_server(server(context), address, 25)
        await loop.create_server(server(None), address, 465, ssl=context)
    print("serving", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
`

func TestAiosmtpd(t *testing.T) {
	w := newWorld(t)
	python := "/usr/bin/python3" // Debian's, which sees Debian's packages
	if err := exec.Command(python, "-c", "import aiosmtpd").Run(); err != nil {
		skip(t, "aiosmtpd is not installed: apt-get install python3-aiosmtpd")
	}
	cert := newCertificate(t, "aio.example.test")
	memory(t, scratch, "mode=755")
	put(t, "cert.pem", cert.chain, 0o600)
	put(t, "key.pem", cert.key, 0o600)
	put(t, "password", saslWord, 0o600)
	program := put(t, "server.py", aiosmtpdProgram, 0o600)
	w.start(t, "serving", python, program)
	testMails(t, w, cert, kind{})
}
