//go:build !linux

package parity

import "gonetx/ip/link/tun/netns"

// There are no TUN devices and no namespaces on this system.

func openTUN(*run) (*scene, error)     { return nil, notHere(netns.Enter()) }
func openOffload(*run) (*scene, error) { return nil, notHere(netns.Enter()) }
func openPair(*run) (*scene, error)    { return nil, notHere(netns.Enter()) }
func openRouted(*run) (*scene, error)  { return nil, notHere(netns.Enter()) }
func openKernel(*run) (*scene, error)  { return nil, notHere(netns.Enter()) }
