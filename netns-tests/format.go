package parity

import (
	"fmt"
	"strings"
)

// Format describes the files of scenarios, for people who write them.
func Format() string {
	var b strings.Builder
	b.WriteString(`A file has scenarios. Each begins with its name; settings follow, then steps.
A line that begins with # is a comment.

    scenario half-close
    shows    The peer ends its direction; what the stack sends still arrives.
    peer  listen 7
    stack connect 7 | peer accept
    peer  shutdown
    stack state -> CLOSE_WAIT
    stack send 2mss+1 | peer receive 2mss+1
    stack disconnect | peer receive end

Settings (all but shows may be left out):

    shows TEXT           what can be seen, in a sentence
    on PLACE ...         run only there: ` + strings.Join(placeNames[:len(placeNames)-1], ", ") + `
    control no: REASON   why the kernel cannot play the stack's part
    pool N x BYTES       the instance's packet pool, ` + DefaultSettings.Pool.String() + ` if it is not said
    send-pool N x BYTES  for what the stack sends, ` + DefaultSettings.SendPool.String() + `
    peer-pool N x BYTES  both pools of a peer that is a stack, ` + DefaultSettings.PeerPool.String() + `
    window SIZE          receive window of the stack's sockets, ` + DefaultSettings.Window.String() + `
    peer-window SIZE     of a peer that is a stack
    mtu N                of the stack's link, 1280 to 1500
    path-mtu N           of the router on the way (at ram and routed)
    dont-fragment yes    routers must not cut what is sent (IPv4; with IPv6 they never do)
    queue N              transmit queue of the stack's sockets, in segments
    retries N            of a segment that is not acknowledged
    keepalive TIME       ask after a connection that is silent for so long
    faults FAULTS        on the stack's link: loss=5%,drop(server data 3),split(5, server data 1)
                         (go doc gonetx/ip/link/fault.Parse)

A step is what one side does, and what shall become of it. Actions with | between
them run at the same time. With & at the end the next step does not wait.

    WHO VERB OPERAND NAME=VALUE ... -> OUTCOME

What is not said behind -> is "ok". Several words must all hold. Sizes are a number
or, so that both families do the same, 3mss+1, payload, chunk (a packet's payload
less the headers), window. Times are 200ms, 5s.

`)
	for _, who := range []string{"stack peer", "stack", "peer", "wire", "time"} {
		for _, name := range sorted(verbs) {
			v := verbs[name]
			if v.who != who {
				continue
			}
			operand := [...]string{none: "", port: " PORT", size: " SIZE", sizeOrEnd: " [SIZE|end]", count: " N", duration: " TIME", rest: " ..."}[v.operand]
			options := ""
			for _, o := range v.options {
				options += " " + o + "="
			}
			fmt.Fprintf(&b, "    %-10s %s%s%s\n               %s\n", strings.ReplaceAll(v.who, " ", "|"), name, operand, options, v.help)
		}
	}
	b.WriteString("\nOutcomes, besides statuses of NetX Duo (NX_NOT_CONNECTED) and states (CLOSE_WAIT):\n\n")
	for _, w := range sorted(words) {
		fmt.Fprintf(&b, "    %-13s %s\n", w, words[w])
	}
	b.WriteString("\nDestinations, to=:\n\n")
	for _, d := range sorted(destinations) {
		fmt.Fprintf(&b, "    %-13s %s\n", d, destinations[d])
	}
	b.WriteString("\nPlaces:\n\n")
	for _, p := range Places() {
		fmt.Fprintf(&b, "    %-13s %s\n", p.Name, p.Shows)
	}
	return b.String()
}
