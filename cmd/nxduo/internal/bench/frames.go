package bench

import "gonetx/ip/link"

// Frames is what crossed a client's device during a measurement. A super-segment is one
// frame, so where a byte costs more than elsewhere this tells whether it took more
// frames. The kernel counts its super-segments as the segments that they stand for:
// of it nothing is known.
type Frames struct {
	In      float64 `json:"in"`
	Out     float64 `json:"out"`
	Dropped float64 `json:"dropped"` // inbound: the pool was empty, or what came was not wanted
	Again   float64 `json:"again"`   // segments that the client sent again
	Lost    float64 `json:"lost"`    // inbound, by the kernel: the queue of the device was full
}

// framer is a design that counts its frames.
type framer interface{ frames() Frames }

func (c *client) frames() Frames {
	if f, ok := c.design.(framer); ok {
		return f.frames()
	}
	return Frames{}
}

// since is what was added to earlier.
func (f Frames) since(earlier Frames) Frames {
	return Frames{f.In - earlier.In, f.Out - earlier.Out, f.Dropped - earlier.Dropped, f.Again - earlier.Again, f.Lost - earlier.Lost}
}

func framesOf(info link.Info) Frames {
	return Frames{In: float64(info.InFrames), Out: float64(info.OutFrames), Dropped: float64(info.InDrops), Lost: lostBy(info.Device)}
}
