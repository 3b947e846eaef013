package parity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// Outcome is what became of an action.
type Outcome struct {
	Word   string `json:"word"`             // of the list of words, the same for every host
	Status string `json:"status,omitempty"` // of NetX Duo, by name; "" for success and for the kernel
	State  string `json:"state,omitempty"`  // of a socket, where the action asks for it
	Detail string `json:"detail,omitempty"` // which mail, why
	Bytes  int    `json:"bytes,omitempty"`  // that were received until the end
}

// String is the outcome in a line.
func (o Outcome) String() string {
	s := o.Word
	if o.State != "" {
		s = o.State
	}
	if o.Status != "" {
		s += " " + o.Status
	}
	if o.Detail != "" {
		s += " (" + o.Detail + ")"
	}
	return s
}

// meets tells whether the outcome has all the words of an expectation. A host
// that is not of NetX Duo's kind has no statuses, and is not asked for them.
func (o Outcome) meets(want []string, nx bool) bool {
	if len(want) == 0 {
		want = []string{"ok"}
	}
	if slices.Contains(want, "any") {
		return true
	}
	for _, w := range want {
		if strings.HasPrefix(w, "NX_") && !nx {
			succeeds := w == "NX_IN_PROGRESS" || w == "NX_CONNECTION_PENDING"
			if succeeds != (o.Word == "ok") {
				return false
			}
			continue
		}
		if w != o.Word && w != o.Status && w != o.State {
			return false
		}
	}
	return true
}

func done(format string, values ...any) Outcome {
	return Outcome{Word: "ok", Detail: fmt.Sprintf(format, values...)}
}

// failed is the outcome of an error, of the services or of the kernel.
func failed(err error) Outcome {
	if err == nil {
		return Outcome{Word: "ok"}
	}
	o := Outcome{Word: "failed", Status: statusName(err)}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			o.Word = c.word
			break
		}
	}
	var said *smtp.ReplyError
	if errors.As(err, &said) {
		o.Word, o.Detail = "mail-refused", fmt.Sprintf("%s: %d", said.Command, said.Code)
	}
	if o.Word == "failed" && o.Status == "" {
		o.Detail = err.Error()
	}
	return o
}

// causes are errors and the words for them: the causes first, then what says
// less.
var causes = []struct {
	err  error
	word string
}{
	{tcp.ErrRefused, "refused"}, {tcp.ErrTimedOut, "timed-out"}, {tcp.ErrUnreachable, "unreachable"}, {tcp.ErrReset, "reset"},
	{tcp.ErrPeerClosed, "closed"}, {tcp.ErrDisconnected, "disconnected"}, {tcp.ErrLinkDown, "link-down"},
	{nx.NoResponse, "no-reply"}, {nx.WindowOverflow, "full"}, {nx.TxQueueDepth, "full"}, {nx.NoPacket, "no-data"},
	{nx.IPAddressError, "bad-address"}, {nx.NoInterfaceAddress, "bad-address"},
	{nx.InProgress, "ok"}, {nx.ConnectionPending, "ok"}, // of reset and relisten: no failures

	{syscall.ECONNREFUSED, "refused"}, {syscall.ECONNRESET, "reset"}, {syscall.EPIPE, "reset"},
	{syscall.EHOSTUNREACH, "unreachable"}, {syscall.ENETUNREACH, "unreachable"}, {syscall.ENOTCONN, "disconnected"}, {syscall.EADDRNOTAVAIL, "bad-address"},
	{syscall.EACCES, "unreachable"}, {syscall.EINVAL, "bad-address"},
	{syscall.ETIMEDOUT, "timed-out"}, {os.ErrDeadlineExceeded, "timed-out"}, {context.DeadlineExceeded, "timed-out"},
	{io.EOF, "closed"}, {net.ErrClosed, "disconnected"},
}

// statusName is NetX Duo's name of the status in an error; "" when there is
// none.
func statusName(err error) string {
	var s smtp.Status
	if errors.As(err, &s) {
		return s.String()
	}
	var n nx.Status
	if errors.As(err, &n) {
		return n.String()
	}
	return ""
}
