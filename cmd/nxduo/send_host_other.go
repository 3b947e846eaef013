//go:build !linux

package main

import "errors"

var errNotLinux = errors.New("this is for Linux")

func (*plan) stands(string) (standing, error) { return standing{}, errNotLinux }

func (*plan) ask() (host, error) { return host{}, errNotLinux }

func userName() string { return "$USER" }
