// Package parity runs one conversation over IPv4 and over IPv6 and tells whether
// both are the same, and if not, where they part.
//
//	report := parity.Run(ctx, parity.Options{})
//	report.Agrees() // every scenario, at every place, in both families
//
// A [Scenario] is a list of steps, in a small format that files and the table of
// this package share (see [Parse], and the files in scenarios/):
//
//	scenario half-close
//	shows    The peer ends its direction; what the stack sends still arrives.
//	peer     listen 7
//	stack    connect 7 | peer accept
//	peer     shutdown
//	stack    state -> CLOSE_WAIT
//	stack    send 2mss+1 | peer receive 2mss+1
//	stack    disconnect | peer receive end
//
// A [Place] is where it runs: what the peer is, and what lies between. The stack
// is one of this module, used through its services; the peer is another one, or
// the Linux kernel. In the place "ram" time is driven, so that the same run gives
// the same events at the same ticks; elsewhere it is real.
//
// A [Trace] is what a run showed: what became of each step, the states of the
// sockets, the datagrams, what was dropped, the dialogue of the SMTP client, the
// packets of the pools, the counters of TCP. Addresses, ports, header lengths and
// sequence numbers are not in it. Where time is real, what depends on it is taken
// out by rule, too (steady.go).
//
// [Compare] puts both traces side by side, event by event. What must differ is a
// [Rule] with a reason and a source; rules look at one number or one text and are
// counted. Everything else that differs is a failure, and so is a step that ends
// otherwise than the scenario says, and a packet that is missing in the end: two
// families that are wrong alike do not agree.
//
// That the comparison can fail is shown by its tests: a fault in one family only,
// of any kind, is found ([Wrong]), and so are changes of single events.
package parity
