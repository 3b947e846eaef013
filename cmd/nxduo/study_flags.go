package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonetx/cmd/nxduo/internal/study"
)

// poolSizes is the size of a pool, written 16x1536: packets and bytes. A packet
// of less than 76 bytes cannot hold the headers of TCP over IPv6, so 800x10 can
// only mean ten packets.
type poolSizes study.PoolSize

const leastPayload = 76

// UnmarshalText reads "16x1536".
func (f *poolSizes) UnmarshalText(text []byte) error {
	count, payload, _ := strings.Cut(string(text), "x")
	n, err1 := strconv.ParseUint(count, 10, 32)
	bytes, err2 := strconv.ParseUint(payload, 10, 32)
	if bytes < leastPayload && n >= leastPayload {
		n, bytes = bytes, n
	}
	const most = 1 << 30
	if err1 != nil || err2 != nil || n == 0 || bytes < leastPayload || n*(bytes+64) > most {
		return fmt.Errorf("%q is not a number of packets and their bytes, such as 16x1536, of at least %d bytes each, up to 1 GiB", text, leastPayload)
	}
	*f = poolSizes{Packets: uint32(n), Payload: uint32(bytes)}
	return nil
}

// percent is a chance, written 5 or 5%.
type percent string

// UnmarshalText reads "5".
func (p *percent) UnmarshalText(text []byte) error {
	number := strings.TrimSuffix(string(text), "%")
	if v, err := strconv.ParseFloat(number, 64); err != nil || !(v >= 0 && v <= 100) {
		return fmt.Errorf("%q is not a percentage from 0 to 100", text)
	}
	*p = percent(number + "%")
	return nil
}

// byteSize is a number of bytes, written 100000, 256k, 10m.
type byteSize int64

// UnmarshalText reads "256k".
func (b *byteSize) UnmarshalText(text []byte) error {
	number, scale := strings.ToLower(string(text)), int64(1)
	for suffix, s := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, scale = n, s
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/scale {
		return fmt.Errorf("%q is not a number of bytes above zero, such as 256k", text)
	}
	*b = byteSize(n * scale)
	return nil
}
