// Package study runs a workload over the stack, with faults and pools of the
// user's choice, and keeps what happened: a trace, a capture, and what the
// workload came to. With two families each has an instance, pools, a link and
// faults of its own, drawn from the same seed, so that what differs is the
// family.
//
// The links are TUN devices with the kernel's stack at the other end, or a
// network in memory with a second instance there.
package study
