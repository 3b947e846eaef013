//go:build !linux

package main

import (
	"errors"
	"net/netip"
)

var errNotLinux = errors.New("this is for Linux")

func (*plan) addressesOf(string) ([]netip.Prefix, error) { return nil, nil }

func (*plan) stands(string) (bool, error) { return false, errNotLinux }

func (*plan) ask() (host, error) { return host{}, errNotLinux }

func userName() string { return "$USER" }
