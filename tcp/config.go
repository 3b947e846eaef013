package tcp

import (
	"time"

	"gonetx/packetpool/nx"
)

// Config holds what NetX Duo fixes when it is compiled. It is hung on a socket
// before [SocketCreate], which copies it; nil and zero fields mean NetX Duo's
// default build.
type Config struct {
	// TransmitQueue is NX_TCP_MAXIMUM_TX_QUEUE: how many segments a socket has
	// sent without acknowledgement before it suspends senders. Zero: 20.
	// [SocketTransmitConfigure] changes it.
	TransmitQueue uint32

	// TransmitTimer is the time in ticks after which a segment is sent again,
	// NX_IP_PERIODIC_RATE / NX_TCP_TRANSMIT_TIMER_RATE. Zero: 100, a second.
	TransmitTimer uint32

	// MaximumRetries is NX_TCP_MAXIMUM_RETRIES. Zero: 10.
	MaximumRetries uint32

	// RetryShift is NX_TCP_RETRY_SHIFT: the timer doubles this many times with
	// each retry. Zero: it stays the same.
	RetryShift uint32

	// ExtendedNotify builds in nx_tcp_socket_establish_notify,
	// nx_tcp_socket_disconnect_complete_notify and
	// nx_tcp_socket_timed_wait_callback (NX_DISABLE_EXTENDED_NOTIFY_SUPPORT not
	// defined). Off, the services answer NX_NOT_SUPPORTED.
	ExtendedNotify bool

	// QueueDepthNotify is NX_ENABLE_TCP_QUEUE_DEPTH_UPDATE_NOTIFY.
	QueueDepthNotify bool

	// WindowScaling is NX_ENABLE_TCP_WINDOW_SCALING: windows up to 1 GiB, with
	// the option of RFC 7323.
	WindowScaling bool

	// LowWatermark is NX_ENABLE_LOW_WATERMARK: a receive queue with a limit.
	LowWatermark bool

	// ReceiveQueue is NX_TCP_MAXIMUM_RX_QUEUE, with LowWatermark. Zero: 20.
	ReceiveQueue uint32

	// VLAN is NX_ENABLE_VLAN: the priority is kept and answered, no frame
	// carries it.
	VLAN bool

	// Keepalive is NX_ENABLE_TCP_KEEPALIVE. Its times are
	// NX_TCP_KEEPALIVE_INITIAL (zero: two hours), NX_TCP_KEEPALIVE_RETRY (zero:
	// 75 s) and NX_TCP_KEEPALIVE_RETRIES (zero: 10).
	Keepalive         bool
	KeepaliveInitial  time.Duration
	KeepaliveInterval time.Duration
	KeepaliveRetries  uint32
}

func (c *Config) withDefaults() Config {
	var in Config
	if c != nil {
		in = *c
	}
	def(&in.TransmitQueue, 20)
	def(&in.TransmitTimer, nx.TicksPerSecond)
	def(&in.MaximumRetries, 10)
	def(&in.ReceiveQueue, 20)
	def(&in.KeepaliveInitial, 2*time.Hour)
	def(&in.KeepaliveInterval, 75*time.Second)
	def(&in.KeepaliveRetries, 10)
	return in
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// window is the largest that SocketCreate accepts.
func (c *Config) window() uint32 {
	if c.WindowScaling {
		return maxScaledWindow
	}
	return maxWindow
}
