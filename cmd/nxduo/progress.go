package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/smtp"
)

// view shows how a mail goes: the dialogue if there is a ladder, and on
// standard error what is being waited for, when that takes long. Its goroutine
// runs from start to stop.
type view struct {
	client *smtp.Client
	rec    *ladder.Recorder
	server string
	size   int             // of the mail, bytes
	ladder *ladder.Printer // nil: no dialogue
	err    io.Writer
	pace   time.Duration // between two lines about what is waited for

	began   time.Time
	shown   int // characters of the line on the terminal
	quit    chan struct{}
	stopped sync.WaitGroup
}

// How often a view tells what it waits for: at once on a terminal, where a
// line takes the place of the one before; seldom in a log.
const (
	terminalPace = time.Second
	logPace      = 10 * time.Second
)

func newView(client *smtp.Client, rec *ladder.Recorder, p *plan, err io.Writer) *view {
	v := &view{client: client, rec: rec, server: p.where(), size: len(p.body), err: err, pace: logPace}
	if isTerminal(err) {
		v.pace = terminalPace
	}
	return v
}

func (v *view) start() {
	v.began, v.quit = time.Now(), make(chan struct{})
	v.stopped.Add(1)
	go v.watch()
}

// stop shows what is left to show.
func (v *view) stop() {
	close(v.quit)
	v.stopped.Wait()
}

func (v *view) watch() {
	defer v.stopped.Done()
	terminal := isTerminal(v.err)
	tick := time.NewTicker(v.pace)
	defer tick.Stop()
	for {
		select {
		case <-v.rec.Changed():
			if v.ladder != nil {
				v.clear()
				v.ladder.Print(v.rec.Rows(), 1)
			}
		case <-tick.C:
			line := v.line()
			if !terminal {
				fmt.Fprintln(v.err, line)
				continue
			}
			v.clear()
			fmt.Fprint(v.err, line)
			v.shown = len(line)
		case <-v.quit:
			v.clear()
			if v.ladder != nil {
				v.ladder.Print(v.rec.Rows(), 0)
			}
			return
		}
	}
}

// clear takes the line away that tells what is waited for.
func (v *view) clear() {
	if v.shown > 0 {
		fmt.Fprintf(v.err, "\r%s\r", strings.Repeat(" ", v.shown))
		v.shown = 0
	}
}

// line tells what is going on: "12 s: waiting for the reply to MAIL".
func (v *view) line() string {
	doing := "connecting to " + v.server
	info, err := smtp.ClientInfoGet(v.client)
	sent := v.rec.Summary().Sent.Bytes
	switch {
	case err != nil || len(v.rec.Rows()) == 0 && sent == 0 && v.rec.Summary().Received.Segments == 0:
	case info.CommandState == smtp.StateMessage:
		doing = fmt.Sprintf("sending the mail: %d of about %d bytes are out", min(sent, v.size), v.size)
		if sent >= v.size {
			doing = "the mail is out; waiting for the server to take it"
		}
	case info.CommandState == smtp.StateGreeting:
		doing = "waiting for the greeting of " + v.server
	default:
		doing = "waiting for the reply to " + info.CommandState.String()
	}
	return fmt.Sprintf("%.0f s: %s", time.Since(v.began).Seconds(), doing)
}
