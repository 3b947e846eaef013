package nx

import (
	"errors"
	"fmt"
	"strings"
)

// Status is a status word of nx_api.h. It is an error value: services return
// it (possibly wrapped in an [Error]) when they do not succeed.
//
// Do not convert Success to error: error(nx.Success) is not nil. Use
// [Status.Err], the only maker of errors from statuses.
type Status uint32

// The status words of nx_api.h. The numbers are hexadecimal but were counted
// in decimal digits, hence the gaps.
const (
	Success            Status = 0x00
	NoPacket           Status = 0x01
	Underflow          Status = 0x02
	Overflow           Status = 0x03
	NoMapping          Status = 0x04
	Deleted            Status = 0x05
	PoolError          Status = 0x06
	PtrError           Status = 0x07
	WaitError          Status = 0x08
	SizeError          Status = 0x09
	OptionError        Status = 0x0A
	DeleteError        Status = 0x10
	CallerError        Status = 0x11
	InvalidPacket      Status = 0x12
	InvalidSocket      Status = 0x13
	NotEnabled         Status = 0x14
	AlreadyEnabled     Status = 0x15
	EntryNotFound      Status = 0x16
	NoMoreEntries      Status = 0x17
	ARPTimerError      Status = 0x18
	ReservedCode0      Status = 0x19
	WaitAborted        Status = 0x1A
	IPInternalError    Status = 0x20
	IPAddressError     Status = 0x21
	AlreadyBound       Status = 0x22
	PortUnavailable    Status = 0x23
	NotBound           Status = 0x24
	ReservedCode1      Status = 0x25
	SocketUnbound      Status = 0x26
	NotCreated         Status = 0x27
	SocketsBound       Status = 0x28
	NoResponse         Status = 0x29
	PoolDeleted        Status = 0x30
	AlreadyReleased    Status = 0x31
	ReservedCode2      Status = 0x32
	MaxListen          Status = 0x33
	DuplicateListen    Status = 0x34
	NotClosed          Status = 0x35
	NotListenState     Status = 0x36
	InProgress         Status = 0x37
	NotConnected       Status = 0x38
	WindowOverflow     Status = 0x39
	AlreadySuspended   Status = 0x40
	DisconnectFailed   Status = 0x41
	StillBound         Status = 0x42
	NotSuccessful      Status = 0x43
	UnhandledCommand   Status = 0x44
	NoFreePorts        Status = 0x45
	InvalidPort        Status = 0x46
	InvalidRelisten    Status = 0x47
	ConnectionPending  Status = 0x48
	TxQueueDepth       Status = 0x49
	NotImplemented     Status = 0x4A
	NotSupported       Status = 0x4B
	InvalidInterface   Status = 0x4C
	InvalidParameters  Status = 0x4D
	NotFound           Status = 0x4E
	CannotStart        Status = 0x4F
	NoInterfaceAddress Status = 0x50
	InvalidMTUData     Status = 0x51
	DuplicatedEntry    Status = 0x52
	PacketOffsetError  Status = 0x53
	OptionHeaderError  Status = 0x54
	Continue           Status = 0x55
	TCPIPOffloadError  Status = 0x56
)

var statusNames = map[Status]string{
	Success: "NX_SUCCESS", NoPacket: "NX_NO_PACKET", Underflow: "NX_UNDERFLOW", Overflow: "NX_OVERFLOW",
	NoMapping: "NX_NO_MAPPING", Deleted: "NX_DELETED", PoolError: "NX_POOL_ERROR", PtrError: "NX_PTR_ERROR",
	WaitError: "NX_WAIT_ERROR", SizeError: "NX_SIZE_ERROR", OptionError: "NX_OPTION_ERROR",
	DeleteError: "NX_DELETE_ERROR", CallerError: "NX_CALLER_ERROR", InvalidPacket: "NX_INVALID_PACKET",
	InvalidSocket: "NX_INVALID_SOCKET", NotEnabled: "NX_NOT_ENABLED", AlreadyEnabled: "NX_ALREADY_ENABLED",
	EntryNotFound: "NX_ENTRY_NOT_FOUND", NoMoreEntries: "NX_NO_MORE_ENTRIES", ARPTimerError: "NX_ARP_TIMER_ERROR",
	ReservedCode0: "NX_RESERVED_CODE0", WaitAborted: "NX_WAIT_ABORTED", IPInternalError: "NX_IP_INTERNAL_ERROR",
	IPAddressError: "NX_IP_ADDRESS_ERROR", AlreadyBound: "NX_ALREADY_BOUND", PortUnavailable: "NX_PORT_UNAVAILABLE",
	NotBound: "NX_NOT_BOUND", ReservedCode1: "NX_RESERVED_CODE1", SocketUnbound: "NX_SOCKET_UNBOUND",
	NotCreated: "NX_NOT_CREATED", SocketsBound: "NX_SOCKETS_BOUND", NoResponse: "NX_NO_RESPONSE",
	PoolDeleted: "NX_POOL_DELETED", AlreadyReleased: "NX_ALREADY_RELEASED", ReservedCode2: "NX_RESERVED_CODE2",
	MaxListen: "NX_MAX_LISTEN", DuplicateListen: "NX_DUPLICATE_LISTEN", NotClosed: "NX_NOT_CLOSED",
	NotListenState: "NX_NOT_LISTEN_STATE", InProgress: "NX_IN_PROGRESS", NotConnected: "NX_NOT_CONNECTED",
	WindowOverflow: "NX_WINDOW_OVERFLOW", AlreadySuspended: "NX_ALREADY_SUSPENDED",
	DisconnectFailed: "NX_DISCONNECT_FAILED", StillBound: "NX_STILL_BOUND", NotSuccessful: "NX_NOT_SUCCESSFUL",
	UnhandledCommand: "NX_UNHANDLED_COMMAND", NoFreePorts: "NX_NO_FREE_PORTS", InvalidPort: "NX_INVALID_PORT",
	InvalidRelisten: "NX_INVALID_RELISTEN", ConnectionPending: "NX_CONNECTION_PENDING", TxQueueDepth: "NX_TX_QUEUE_DEPTH",
	NotImplemented: "NX_NOT_IMPLEMENTED", NotSupported: "NX_NOT_SUPPORTED", InvalidInterface: "NX_INVALID_INTERFACE",
	InvalidParameters: "NX_INVALID_PARAMETERS", NotFound: "NX_NOT_FOUND", CannotStart: "NX_CANNOT_START",
	NoInterfaceAddress: "NX_NO_INTERFACE_ADDRESS", InvalidMTUData: "NX_INVALID_MTU_DATA",
	DuplicatedEntry: "NX_DUPLICATED_ENTRY", PacketOffsetError: "NX_PACKET_OFFSET_ERROR",
	OptionHeaderError: "NX_OPTION_HEADER_ERROR", Continue: "NX_CONTINUE", TCPIPOffloadError: "NX_TCPIP_OFFLOAD_ERROR",
}

// String answers NetX Duo's name, "NX_NOT_CONNECTED", or "NX_0x57" for a
// number that nx_api.h does not define.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("NX_0x%02X", uint32(s))
}

// Error answers name and number, "NX_NOT_CONNECTED (0x38)".
func (s Status) Error() string { return fmt.Sprintf("%s (0x%02X)", s.String(), uint32(s)) }

// StatusCode answers the number.
func (s Status) StatusCode() uint { return uint(s) }

// Err is the status as an error: nil for Success.
func (s Status) Err() error {
	if s == Success {
		return nil
	}
	return s
}

// A Coder is a status of some layer: [Status], or the SMTP client's own type,
// whose numbers start at 0xA0 as those of other add-ons do.
type Coder interface {
	error
	StatusCode() uint
}

// Error is a status with the service that answered it and what lies behind
// it, which NetX Duo throws away. errors.Is and errors.As see the status and
// the cause.
type Error struct {
	Service string // the Go name of the service, "tcp.ClientSocketConnect"
	Status  Coder
	Cause   error // nil when the status says it all
}

// Fail makes an error of a status: nil for Success, the bare status when
// there is neither service nor cause to add.
func Fail(service string, status Status, cause error) error {
	if status == Success {
		return nil
	}
	return &Error{Service: service, Status: status, Cause: cause}
}

// Error answers "service: NX_NAME (0xNN): cause".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Service != "" {
		b.WriteString(e.Service)
		b.WriteString(": ")
	}
	b.WriteString(e.Status.Error())
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

// Unwrap shows the status first, then the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Status}
	}
	return []error{e.Status, e.Cause}
}

// Code answers the number of the status in err: 0 for nil, and 0xFFFFFFFF for
// an error that carries no status.
func Code(err error) uint {
	if err == nil {
		return uint(Success)
	}
	var c Coder
	if errors.As(err, &c) {
		return c.StatusCode()
	}
	return 0xFFFFFFFF
}
