package main

import (
	"errors"
	"fmt"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
)

// sendReport is the result of "nxduo send", as --json prints it.
type sendReport struct {
	OK      bool           `json:"ok"`
	Exit    int            `json:"exit"`
	Error   string         `json:"error,omitempty"`
	Status  string         `json:"status,omitempty"` // "NX_NOT_CONNECTED (0x38)"
	Reply   *replyReport   `json:"reply,omitempty"`  // the server's refusal
	Server  string         `json:"server"`
	From    string         `json:"from"`
	To      string         `json:"to"`
	Device  string         `json:"device,omitempty"`
	Address string         `json:"address"`
	Gateway string         `json:"gateway"`
	Advice  []string       `json:"advice,omitempty"` // what to do about it, with the commands
	Rows    []ladder.Row   `json:"dialogue"`
	Summary ladder.Summary `json:"segments"`
	Pools   []poolState    `json:"pools"`
	Took    time.Duration  `json:"took_ns"`
}

type replyReport struct {
	Command  string `json:"command"`
	Code     uint   `json:"code"`
	Enhanced string `json:"enhanced,omitempty"`
	Text     string `json:"text"`
}

func (r *sendReport) plan(p *plan) {
	r.Server, r.Address, r.Gateway = p.at.String(), p.address.String(), p.gateway.String()
}

// conclude notes how it ended.
func (r *sendReport) conclude(err error) {
	r.Exit, r.OK = exitCode(err), err == nil
	if err == nil {
		return
	}
	r.Error, r.Advice = err.Error(), adviceOn(err)
	var e *nx.Error
	if errors.As(err, &e) {
		r.Status = fmt.Sprint(e.Status)
	}
	var said *smtp.ReplyError
	if errors.As(err, &said) {
		r.Reply = &replyReport{said.Command, said.Code, said.Enhanced, said.Text}
	}
}
