// Package capture is a driver that writes what crosses another one to a pcapng
// file, which Wireshark opens, with comments on the frames that something
// happened to.
//
//	to, _ := os.Create("mail.pcapng")
//	file := capture.NewFile(to)
//	driver := file.Wrap(tun.New(tun.Config{}))
//	inst.Config = &ip.Config{Recorder: driver.Recorder(nil)} // for the comments
//
// Where the capture stands among the wrappers decides what it sees: over a
// fault driver, what the stack sends and receives; below it, what is on the
// wire. Frames that were dropped on the other side of it are in the file too,
// as far as their event shows them, with the reason.
//
// Frames are segments as they are on the wire, so the driver below offloads
// nothing.
package capture

import (
	"io"
	"sync"
	"time"

	"gonetx/packetpool/nx"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// File is a capture file in the making. Several drivers may write to one; each
// of their endpoints is an interface in it.
type File struct {
	// Epoch is the time of day at time 0 of the clock of an instance. Zero: the
	// endpoint is opened now. A test with a driven clock and a fixed Epoch gets
	// the same file in each run. Set it before the first frame.
	Epoch time.Time

	// Hold is how many frames that have passed are kept back, so that what is
	// said of them later becomes their comment: a reply is read some time after
	// its segment has come. Zero: none. Set it before the first frame.
	Hold int

	mu     sync.Mutex // guards the fields below
	to     io.Writer
	writer *pcapgo.NgWriter // nil until there is an interface
	err    error            // the first error; nothing is written after it
	lost   uint64           // frames that were not written
}

// NewFile makes a capture file of a writer. A frame is written when it has
// passed, so a writer that blocks holds up the traffic; an error of the writer
// does not, it ends the capture. See [File.Err].
func NewFile(to io.Writer) *File { return &File{to: to} }

// Close completes the file. It does not close the writer. Frames that cross
// afterwards are not written.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writer == nil && f.err == nil {
		f.open("", "nothing was captured") // so that it is a file all the same
	}
	err := f.err
	if err == nil {
		f.err = io.ErrClosedPipe
	}
	return err
}

// Err is why the capture ended early, and how many frames are missing since.
func (f *File) Err() (lost uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost, f.err
}

// open adds an interface and answers its number. The caller holds the lock.
func (f *File) open(name, description string) int {
	if f.err != nil {
		return 0
	}
	i := pcapgo.NgInterface{Name: name, Description: description, LinkType: layers.LinkTypeRaw}
	if f.writer != nil {
		number := 0
		number, f.err = f.writer.AddInterface(i)
		return number
	}
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "gonetx"}}
	f.writer, f.err = pcapgo.NewNgWriterInterface(f.to, i, options)
	f.flush()
	return 0
}

// add adds the interface of an endpoint.
func (f *File) add(name, description string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open(name, description)
}

// write writes frames of an interface.
func (f *File) write(number int, epoch time.Time, frames []*frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fr := range frames {
		if f.err != nil {
			f.lost++
			continue
		}
		info := gopacket.CaptureInfo{
			Timestamp: epoch.Add(fr.at), CaptureLength: len(fr.data), Length: max(fr.length, len(fr.data)), InterfaceIndex: number,
		}
		f.err = f.writer.WritePacketWithOptions(info, fr.data, pcapgo.NgPacketOptions{
			Comments: fr.comments, Flags: &pcapgo.NgEpbFlags{Direction: flag(fr.direction)},
		})
	}
	f.flush()
}

// close ends an interface.
func (f *File) close(number int, now time.Time, counts pcapgo.NgInterfaceStatistics) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		counts.LastUpdate, counts.EndTime = now, now
		f.err = f.writer.WriteInterfaceStats(number, counts)
	}
	f.flush()
}

func (f *File) flush() {
	if f.err == nil {
		f.err = f.writer.Flush()
	}
}

func flag(d nx.Direction) pcapgo.NgEpbFlag {
	switch d {
	case nx.Received:
		return pcapgo.NgEpbFlagDirectionInbound
	case nx.Sent:
		return pcapgo.NgEpbFlagDirectionOutbound
	}
	return pcapgo.NgEpbFlagDirectionUnknown
}
