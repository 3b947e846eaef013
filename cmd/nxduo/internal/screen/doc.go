// Package screen shows a trace on a terminal, while it is made or afterwards:
// where the connection is in its sequence space, the congestion window, the
// round trip, the packet pools with their low-water marks, and the SMTP dialogue
// as a ladder.
//
// A [Model] is a bubbletea model over the events that it has; time can be
// stopped, gone back in, and run again. A [Feed] brings events that are still to
// come.
package screen
