package smtp

import (
	"encoding/base64"
	"strings"
)

// services is what a server offers in its reply to EHLO.
type services struct {
	auths
	startTLS     bool
	eightBitMIME bool
	smtpUTF8     bool
}

// auths are the mechanisms of authentication that a server offers.
type auths struct {
	auth         bool // there is an AUTH line
	login, plain bool // mechanisms on it
	other        bool // mechanisms of other names
}

// parseServices reads the reply to EHLO line by line (RFC 5321 4.1.1.1). The
// first line is a greeting. "AUTH=LOGIN PLAIN" is how servers older than RFC
// 2554 say it.
func parseServices(r reply) services {
	var found services
	first := true
	for line := range r.lines() {
		words := strings.Fields(strings.ToUpper(string(line)))
		if first || len(words) == 0 {
			first = false
			continue
		}
		if old, ok := strings.CutPrefix(words[0], "AUTH="); ok {
			words = append([]string{"AUTH", old}, words[1:]...)
		}
		switch words[0] {
		case "AUTH":
			found.auth = true
			for _, mechanism := range words[1:] {
				switch mechanism {
				case "LOGIN":
					found.login = true
				case "PLAIN":
					found.plain = true
				case "":
				default:
					found.other = true
				}
			}
		case "STARTTLS":
			found.startTLS = true
		case "8BITMIME":
			found.eightBitMIME = true
		case "SMTPUTF8":
			found.smtpUTF8 = true
		}
	}
	return found
}

// chooseAuth answers the type of authentication for a session of a client
// that wants one type, on a server that offers some.
//
//	wanted   no AUTH line   LOGIN only   PLAIN only   both    neither
//	NONE     NONE           LOGIN *      PLAIN *      PLAIN * NONE
//	PLAIN    PLAIN          LOGIN        PLAIN        PLAIN   ErrNoMechanism
//	LOGIN    PLAIN          LOGIN        PLAIN        LOGIN   ErrNoMechanism
//
// * when the client has credentials, else NONE. An AUTH line without any
// mechanism is as good as none for a client that wants to authenticate: the
// guide takes PLAIN then. The release differs as the ledger says.
func chooseAuth(wanted AuthType, offered auths, as differences, credentials bool) (AuthType, error) {
	if wanted == AuthNone {
		if as.has(NoneStaysNone) || !credentials || !(offered.plain || offered.login) {
			return AuthNone, nil
		}
		wanted = AuthPlain
	}
	switch {
	case !offered.auth && as.has(AuthWithoutOffer):
		return wanted, nil
	case wanted == AuthLogin && offered.login:
		return AuthLogin, nil
	case offered.plain:
		return AuthPlain, nil
	case offered.login:
		return AuthLogin, nil
	case offered.other && !as.has(PlainWithoutOffer):
		return wanted, ErrNoMechanism
	}
	return AuthPlain, nil
}

// plainAnswer is the answer of PLAIN: authorization identity, username and
// password (RFC 4616 2). An empty identity means the user's own.
func plainAnswer(username, password string, as differences) string {
	identity := ""
	if as.has(AuthorizationIsUsername) {
		identity = username
	}
	return encode(identity + "\x00" + username + "\x00" + password)
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// prompt is what a server asks for in a LOGIN exchange.
type prompt uint8

const (
	unknownPrompt prompt = iota
	usernamePrompt
	passwordPrompt
)

// loginPrompt tells what the text of a 334 asks for.
func loginPrompt(decoded string) prompt {
	switch {
	case len(decoded) != 9:
	case strings.EqualFold(decoded, "Username:"):
		return usernamePrompt
	case strings.EqualFold(decoded, "Password:"):
		return passwordPrompt
	}
	return unknownPrompt
}

// secrets are the texts that no error and no event may show: the password,
// and every form in which the credentials cross the wire.
type secrets struct {
	whole *strings.Replacer // nil: there are none
	blobs []string          // base64, of which a part is a secret too
}

const (
	blotted  = "[redacted]"
	telltale = 8 // characters of a blob, and it is one
)

func newSecrets(username, password string, as differences) secrets {
	blobs := []string{plainAnswer(username, password, as), encode(password), encode(username)}
	var pairs []string
	for _, form := range append(blobs, password) {
		if form != "" {
			pairs = append(pairs, form, blotted)
		}
	}
	return secrets{strings.NewReplacer(pairs...), blobs}
}

// blot takes the secrets out of a server's words. One that repeats what it did
// not understand may repeat the beginning only.
func (s secrets) blot(text string) string {
	if s.whole == nil {
		return text
	}
	text = s.whole.Replace(text)
	for _, blob := range s.blobs {
		if len(blob) < telltale {
			continue
		}
		for from := 0; ; from += len(blotted) {
			i := strings.Index(text[from:], blob[:telltale])
			if i < 0 {
				break
			}
			from += i
			end := from + telltale
			for n := telltale; n < len(blob) && end < len(text) && text[end] == blob[n]; n++ {
				end++
			}
			text = text[:from] + blotted + text[end:]
		}
	}
	return text
}
