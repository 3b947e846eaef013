package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gonetx/cmd/nxduo/internal/bench"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
)

// Exit codes.
const (
	exitOK            = 0
	exitOther         = 1   // also: the mail of the demonstration is not what was sent
	exitUsage         = 2   // flags, input or environment
	exitNoTUN         = 3   // no device, no namespace, no right to it
	exitNoConnection  = 4   // none came up, or it was lost before the server had taken the mail
	exitRefused       = 5   // by the server, in its own words
	exitPoolExhausted = 6   // no packet was free in time
	exitInterrupted   = 130 // 128 + SIGINT, as shells have it
)

const exitHelp = `Exit codes:
    0    done
    1    something else; demo: a mail did not arrive as it was sent, or a packet was lost
    2    flags, input or environment are wrong; nothing was sent
    3    no TUN device: missing, closed to this user, or taken
    4    no connection: unreachable, refused, silent, or lost before the server had taken the mail
    5    the server refused; its words are in the message
    6    a packet pool was exhausted
    130  interrupted

"nxduo up -- COMMAND" ends with the exit code of the command.`

// failure is an error with an exit code and with what went wrong in a few
// words.
type failure struct {
	code   int
	what   string
	err    error
	advice []string // what to do about it, line by line
	silent bool     // it was said already: a command that ran inside has its own words
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.what
	}
	return f.what + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func exitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, bench.ErrFlags):
		return exitUsage
	case errors.As(err, new(*netns.Error)):
		return exitNoTUN
	}
	return exitOther
}

func adviceOn(err error) []string {
	var f *failure
	if errors.As(err, &f) {
		return f.advice
	}
	return nil
}

// isSilent tells that there is nothing to say of an error, nor of any that is
// joined to it.
func isSilent(err error) bool {
	switch e := err.(type) {
	case *failure:
		return e.silent
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !isSilent(err) })
	}
	return false
}

func usage(format string, values ...any) error {
	return &failure{code: exitUsage, what: fmt.Sprintf(format, values...)}
}

// noTUN is the failure of a link that did not open.
func noTUN(err error) *failure {
	return &failure{code: exitNoTUN, what: "no TUN device", err: refusal(err)}
}

// refusal is the part of an error that the user can do something about: the
// system's cause where one is named, otherwise what a service of the stack
// wraps.
func refusal(err error) error {
	var e *netns.Error
	var service *nx.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &service) && service.Cause != nil:
		return service.Cause
	}
	return err
}

// mailFailure says what an error of ClientCreate or MailSend means.
func mailFailure(server string, err error) *failure {
	var said *smtp.ReplyError
	var phase *smtp.PhaseError
	f := &failure{code: exitOther, what: "the mail was not sent", err: err}
	switch {
	case errors.As(err, &said) && said.Code != 0:
		f.code, f.what = exitRefused, server+" refuses"
	case errors.As(err, &said):
		f.code, f.what = exitRefused, server+" does not speak SMTP"
	case errors.Is(err, nx.WaitAborted):
		f.code, f.what = exitInterrupted, "interrupted"
	case errors.As(err, &phase) && phase.Doing == "giving up":
		f.code, f.what = exitRefused, server+" does not offer what is needed"
	case errors.As(err, &phase) && phase.Doing == "TLS handshake":
		f.code, f.what = exitNoConnection, "no protected connection to "+server
	case fromPool(err):
		f.code, f.what = exitPoolExhausted, "a packet pool is exhausted"
	case errors.As(err, &phase) && phase.Doing == "awaiting the reply" && nx.Code(err) == uint(nx.NoPacket):
		f.code, f.what = exitNoConnection, server+" does not answer in time"
	case errors.As(err, &phase) && phase.Undecided:
		f.code, f.what = exitNoConnection, "the connection to "+server+" was lost; the server may have taken the mail"
	case errors.As(err, &phase) && phase.Doing == "connecting":
		f.code, f.what = exitNoConnection, "no connection to "+server
	case errors.As(err, &phase):
		f.code, f.what = exitNoConnection, "the connection to "+server+" was lost"
	case errors.Is(err, smtp.InvalidParam), errors.Is(err, nx.SizeError), errors.Is(err, smtp.AuthenticationError):
		f.code, f.what = exitUsage, "this cannot be sent"
	}
	return f
}

// fromPool tells that a service of a pool found no packet. The same status
// from a socket is a time-out.
func fromPool(err error) bool {
	var e *nx.Error
	for errors.As(err, &e) {
		if strings.HasPrefix(e.Service, "packetpool.") && nx.Code(e) == uint(nx.NoPacket) {
			return true
		}
		err = e.Cause
	}
	return false
}
