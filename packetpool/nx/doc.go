// Package nx holds the words that every layer shares: status values, wait
// options and ticks, the clock, the suspension of a caller, and the events
// that describe what a stack does.
//
// NetX Duo answers every service with one status word, and it suspends
// callers for a number of ticks. Both are kept. A service answers an error;
// nil is NX_SUCCESS, and anything else carries NetX Duo's number and name:
//
//	err := tcp.ClientSocketConnect(&socket, server, 25, nx.Ticks(time.Second))
//	errors.Is(err, nx.NotConnected) // true when the status is NX_NOT_CONNECTED
//	nx.Code(err)                    // 0x38
//	err.Error()                     // "tcp.ClientSocketConnect: NX_NOT_CONNECTED (0x38): connection refused"
//
// A wait option counts ticks, 100 to the second (NX_IP_PERIODIC_RATE):
// [NoWait] returns at once, [WaitForever] has no limit.
//
// The package imports the standard library only, so that every layer, and
// every test of a layer, may use it.
package nx
