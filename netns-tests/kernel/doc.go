// Package kernel holds the tests in which the stack talks to the Linux kernel
// over a TUN device, as client and as server, over both families. There is no
// code in it but the tests:
//
//	go test ./netns-tests/kernel
//	NX_CONNECTIONS=full go test -v -timeout 60m -run Connections ./netns-tests/kernel
//
// The second form makes 50 000 connections in a row on one port and 200 000 on
// any port, in each direction and family, a million in all; the first makes as
// many hundredths.
package kernel
