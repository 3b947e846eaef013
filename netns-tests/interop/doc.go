// Package interop holds the tests in which package smtp sends mails to mail
// servers that the world uses, in a network namespace over a TUN device, over
// both families. There is no code in it but the tests:
//
//	go test -v ./netns-tests/interop
//
// They are Postfix, Exim, OpenSMTPD and aiosmtpd; .ci/run deps brings them.
// Postfix is Debian's package with a configuration of its own on file systems
// in memory, which nobody else sees and which are gone with the test, however
// it ends; so are the others. What a server takes it hands on to a server in the test, so that each
// mail is judged by what arrived, not only by the reply.
//
// Where a server is not installed, or the namespaces are not to be had, the
// tests are skipped and say why; with CI=true that is a failure.
package interop
