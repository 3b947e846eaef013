package interop

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Postfix's places, as Debian's package has them. In the mount namespace of the
// tests each is a file system in memory.
const (
	postfixConfig = "/etc/postfix"
	postfixQueue  = "/var/spool/postfix"
	postfixData   = "/var/lib/postfix"
)

// What Postfix is asked to be.
const (
	postfixMain = `compatibility_level = 3.6
myhostname = postfix.example.test
mydestination =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:all
virtual_transport = smtp:[` + "127.0.0.1" + `]:2525
inet_interfaces = all
inet_protocols = all
mynetworks = 127.0.0.0/8 10.77.0.0/24 [fd77::]/64
local_recipient_maps =
alias_maps =
maillog_file = /dev/stdout
message_size_limit = 2000000
smtp_line_length_limit = 0
smtp_tls_security_level = none
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_recipient_restrictions =
    check_recipient_access inline:{ {nobody@example.test = 550 5.1.1 there is nobody of that name here} {later@example.test = 451 4.7.1 come back later} },
    check_recipient_access inline:{member@example.test=members_only},
    permit_mynetworks, reject
smtpd_restriction_classes = members_only
members_only = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = example.test
smtpd_sasl_security_options = noanonymous
smtpd_sasl_authenticated_header = yes
cyrus_sasl_config_path = /etc/postfix/sasl
smtpd_tls_cert_file = /etc/postfix/cert.pem
smtpd_tls_key_file = /etc/postfix/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
postscreen_greet_action = enforce
postscreen_greet_banner = wait a moment, please
postscreen_greet_wait = 3s
postscreen_access_list =
postscreen_dnsbl_sites =
`
	postfixMaster = `smtp      inet  n  -  n  -  -  smtpd
465       inet  n  -  n  -  -  smtpd
    -o smtpd_tls_wrappermode=yes
2526      inet  n  -  n  -  -  smtpd
    -o smtpd_sasl_path=broken
2527      inet  n  -  n  -  1  postscreen
2528      inet  n  -  n  -  -  smtpd
    -o smtpd_tls_security_level=none
    -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8,auth
2529      inet  n  -  n  -  -  smtpd
    -o smtpd_tls_security_level=encrypt
smtpd     pass  -  -  n  -  -  smtpd
dnsblog   unix  -  -  n  -  0  dnsblog
tlsproxy  unix  -  -  n  -  0  tlsproxy
pickup    unix  n  -  n  60 1  pickup
cleanup   unix  n  -  n  -  0  cleanup
qmgr      unix  n  -  n  300 1 qmgr
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
rewrite   unix  -  -  n  -  -  trivial-rewrite
bounce    unix  -  -  n  -  0  bounce
defer     unix  -  -  n  -  0  bounce
trace     unix  -  -  n  -  0  bounce
verify    unix  -  -  n  -  1  verify
flush     unix  n  -  n  1000? 0 flush
proxymap  unix  -  -  n  -  -  proxymap
proxywrite unix -  -  n  -  1  proxymap
smtp      unix  -  -  n  -  -  smtp
relay     unix  -  -  n  -  -  smtp
showq     unix  n  -  n  -  -  showq
error     unix  -  -  n  -  -  error
retry     unix  -  -  n  -  -  error
discard   unix  -  -  n  -  -  discard
anvil     unix  -  -  n  -  1  anvil
scache    unix  -  -  n  -  1  scache
postlog   unix-dgram n - n -  1  postlogd
`
	// The mechanisms and the user. The broken one cannot read its database,
	// which Postfix calls a temporary failure.
	saslConfig = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: %s\n"
	saslUser   = "user"
	saslDomain = "example.test"
	saslWord   = "open,Sesame1"
)

// Ports of master.cf.
const (
	implicitPort  = 465
	brokenPort    = 2526
	screenPort    = 2527
	poorPort      = 2528 // no TLS, no AUTH, no 8BITMIME, no SMTPUTF8
	encryptedPort = 2529 // nothing before STARTTLS
)

// startPostfix runs Postfix in the world until the end of the test.
func startPostfix(t *testing.T, w *world, cert certificate) {
	t.Helper()
	for _, program := range []string{"postfix", "saslpasswd2"} {
		installed(t, program, map[string]string{"postfix": "postfix", "saslpasswd2": "sasl2-bin"}[program])
	}
	manyUsers(t)
	postfix, err := user.Lookup("postfix")
	require.NoError(t, err)
	uid, _ := strconv.Atoi(postfix.Uid)
	gid, _ := strconv.Atoi(postfix.Gid)

	// What start-fg needs of the package's own files.
	kept := map[string][]byte{}
	for _, name := range []string{"postfix-files", "postfix-script", "post-install", "dynamicmaps.cf", "makedefs.out"} {
		if content, err := os.ReadFile(filepath.Join(postfixConfig, name)); err == nil {
			kept[name] = content
		}
	}
	memory(t, postfixConfig, "mode=755")
	memory(t, postfixQueue, "mode=755")
	memory(t, postfixData, fmt.Sprintf("mode=700,uid=%d,gid=%d", uid, gid))
	put := func(name, content string, mode fs.FileMode) {
		t.Helper()
		path := filepath.Join(postfixConfig, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
	}
	for name, content := range kept {
		put(name, string(content), 0o755)
	}
	put("main.cf", postfixMain, 0o644)
	put("master.cf", postfixMaster, 0o644)
	put("cert.pem", cert.chain, 0o644)
	put("key.pem", cert.key, 0o600)
	database := filepath.Join(postfixConfig, "sasldb2")
	put("sasl/smtpd.conf", fmt.Sprintf(saslConfig, database), 0o644)
	put("sasl/broken.conf", fmt.Sprintf(saslConfig, filepath.Join(postfixConfig, "closed")), 0o644)
	put("closed", "", 0o600)
	add := exec.Command("saslpasswd2", "-p", "-c", "-f", database, "-u", saslDomain, saslUser)
	add.Stdin = strings.NewReader(saslWord)
	out, err := add.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.Chown(database, 0, gid))
	require.NoError(t, os.Chmod(database, 0o640))

	w.start(t, "daemon started", "postfix", "start-fg")
}

// memory mounts a file system in memory over a folder, for the tests alone.
// It ends with their mount namespace, or with the test.
func memory(t *testing.T, folder, options string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, unix.Mount("tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options))
	t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
}
