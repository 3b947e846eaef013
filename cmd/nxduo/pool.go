package main

import (
	"fmt"

	"gonetx/packetpool"
)

// poolCommand tells what a mail takes of a pool, before there is one.
type poolCommand struct {
	Payload uint32 `default:"1536" help:"Bytes of a packet, headers included."`
	Memory  uint32 `default:"25536" help:"Bytes of the pool, as a NetX Duo program counts them."`
	Body    uint32 `default:"2000" help:"Bytes of the mail's body."`
	Header  uint32 `help:"Bytes of the mail's header; 0 is about what the client makes."`
	IPv6    bool   `name:"ipv6" help:"Over IPv6, whose header is 20 bytes longer."`
}

// Run prints the table, one packet as a drawing, and what will happen.
func (c *poolCommand) Run(std streams) error {
	advice, err := packetpool.Advise(packetpool.Plan{
		Payload: c.Payload, Memory: c.Memory, Body: c.Body, Header: c.Header, IPv6: c.IPv6,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(std.out, advice)
	return err
}
