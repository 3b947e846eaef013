package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// beside runs a command in the network of the stack, and answers its exit code
// as a failure.
func beside(command, environment []string, std streams) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	cmd.Env = environment

	// It dies with us, because its network does: the kernel sends it the signal
	// when this thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dieWithParent(cmd)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		code := 127 // not found, as shells have it
		if errors.Is(err, os.ErrPermission) {
			code = 126
		}
		return &failure{code: code, what: "the command does not start", err: err}
	}
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		tell(cmd.Process, signals, isTerminal(std.in), ended)
	}()
	err := cmd.Wait()
	close(ended)
	<-told

	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return &failure{code: code, what: "the command failed", err: err, silent: true}
}

// tell hands signals on to the command until it has ended. What Ctrl-C and its
// like send from a terminal the command has got from there itself.
func tell(command *os.Process, signals <-chan os.Signal, terminal bool, ended <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			if terminal && (s == syscall.SIGINT || s == syscall.SIGQUIT) {
				continue
			}
			_ = command.Signal(s)
		case <-ended:
			return
		}
	}
}
