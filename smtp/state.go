package smtp

import "fmt"

// State is a state of the session, with NetX Duo's numbers. It names the
// command that is sent and whose reply is awaited.
type State uint32

// The states of nxd_smtp_client.h. RSET and NOOP exist there, but no session
// comes to them.
const (
	StateIdle          State = 0
	StateGreeting      State = 1
	StateEHLO          State = 2
	StateHELO          State = 3
	StateMail          State = 4
	StateRcpt          State = 5
	StateData          State = 6
	StateMessage       State = 7
	StateRset          State = 8
	StateQuit          State = 9
	StateNoop          State = 10
	StateAuth          State = 11
	StateAuthChallenge State = 12

	// StateStartTLS is an addition.
	StateStartTLS State = 13

	StateCompletedNormally State = 0xFFFFFFFE
	StateError             State = 0xFFFFFFFD
)

var stateNames = map[State]string{
	StateIdle: "IDLE", StateGreeting: "GREETING", StateEHLO: "EHLO", StateHELO: "HELO",
	StateMail: "MAIL", StateRcpt: "RCPT", StateData: "DATA", StateMessage: "MESSAGE",
	StateRset: "RSET", StateQuit: "QUIT", StateNoop: "NOOP",
	StateAuth: "AUTH", StateAuthChallenge: "AUTH_CHALLENGE", StateStartTLS: "STARTTLS",
	StateCompletedNormally: "COMPLETED_NORMALLY", StateError: "ERROR",
}

// String answers NetX Duo's name without its prefix, "AUTH_CHALLENGE".
func (s State) String() string {
	if name, ok := stateNames[s]; ok {
		return name
	}
	return fmt.Sprintf("STATE_%d", uint32(s))
}

// AuthType is an authentication type, with NetX Duo's numbers.
type AuthType uint

const (
	AuthLogin   AuthType = 1
	AuthCRAMMD5 AuthType = 2 // create makes it PLAIN, as any other number
	AuthPlain   AuthType = 3
	AuthNone    AuthType = 0xFFFF
)

// String answers "LOGIN", "PLAIN", "NONE".
func (a AuthType) String() string {
	switch a {
	case AuthLogin:
		return "LOGIN"
	case AuthCRAMMD5:
		return "CRAM-MD5"
	case AuthPlain:
		return "PLAIN"
	case AuthNone:
		return "NONE"
	}
	return fmt.Sprintf("AUTH_%d", uint(a))
}

// AuthState says how far authentication has come, with NetX Duo's numbers.
type AuthState uint

const (
	NotAuthenticated         AuthState = 0
	AuthenticationInProgress AuthState = 1 // also after a refusal, as in NetX Duo
	AuthenticationFailed     AuthState = 2 // never set
	AuthenticationSucceeded  AuthState = 3
)

// String answers NetX Duo's name without its prefix.
func (a AuthState) String() string {
	switch a {
	case NotAuthenticated:
		return "NOT_AUTHENTICATED"
	case AuthenticationInProgress:
		return "IN_PROGRESS"
	case AuthenticationFailed:
		return "FAILED"
	case AuthenticationSucceeded:
		return "SUCCEEDED"
	}
	return fmt.Sprintf("AUTH_STATE_%d", uint(a))
}

// Priority is the priority of a mail, with NetX Duo's numbers. Any other
// number counts as PriorityNormal.
type Priority uint

const (
	PriorityLow    Priority = 1
	PriorityNormal Priority = 2
	PriorityHigh   Priority = 4
)

// DefaultPort is the port of mail servers.
const DefaultPort = 25
