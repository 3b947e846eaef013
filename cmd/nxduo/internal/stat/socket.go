package stat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The meeting place: one socket for each running instance, NAME.sock, in a
// directory that nobody else may enter. That is the whole protection: who may
// connect is of the same user and gets a snapshot, and nothing is read from
// him.

const suffix = ".sock"

// ErrNotRunning is the answer for an instance that is not there.
var ErrNotRunning = errors.New("no such instance runs")

// ErrTaken is the answer for a name that a running instance has.
var ErrTaken = errors.New("an instance of this name runs already")

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// CheckName says what is wrong with the name of an instance.
func CheckName(name string) error {
	if !goodName.MatchString(name) {
		return fmt.Errorf("%q: a name has letters, digits, dots and dashes, and 32 of them at most", name)
	}
	return nil
}

// Directory is where the sockets are: below XDG_RUNTIME_DIR, which is the
// user's own, or below the directory for temporary files.
func Directory() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && private(dir) == nil {
		return filepath.Join(dir, "nxduo")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("nxduo-%d", realUser()))
}

// private checks that a directory is ours and that nobody else may enter it.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case !ours(info):
		return fmt.Errorf("%s belongs to another user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %#o)", dir, info.Mode().Perm())
	}
	return nil
}

// realUser is the user outside of the user namespace that we may be in: both
// sides of it are to find the same directory.
func realUser() int {
	id := os.Getuid()
	table, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return id
	}
	for line := range strings.Lines(string(table)) {
		var inside, outside, count int
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && id >= inside && id-inside < count {
			return outside + id - inside
		}
	}
	return id
}

// Server answers with snapshots until it is closed. One goroutine accepts, and
// one writes to each reader; Close waits for all.
type Server struct {
	Path     string
	listener net.Listener
	take     func() Snapshot
	serving  sync.WaitGroup
	closed   sync.Once
}

// Serve opens the socket of an instance.
func Serve(name string, take func() Snapshot) (*Server, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(Directory(), name+suffix)
	listener, err := listen(path)
	for tries := 0; tries < 10 && errors.Is(err, fs.ErrNotExist); tries++ { // another instance ended, and took the directory away
		listener, err = listen(path)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		if conn, dialErr := net.Dial("unix", path); dialErr == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%q: %w", name, ErrTaken)
		}
		// Left behind by one that was killed.
		if err = os.Remove(path); err == nil {
			listener, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, err
	}
	s := &Server{Path: path, listener: listener, take: take}
	s.serving.Add(1)
	go s.accept()
	return s, nil
}

// listen makes the directory, if it is not there, and the socket in it.
func listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

func (s *Server) accept() {
	defer s.serving.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Add(1)
		go s.answer(conn)
	}
}

// patience is how long a reader may take.
const patience = 5 * time.Second

func (s *Server) answer(conn net.Conn) {
	defer s.serving.Done()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_ = json.NewEncoder(conn).Encode(s.take()) // the reader may have gone
}

// Close takes the socket away, and the directory if it was the last.
func (s *Server) Close() error {
	var err error
	s.closed.Do(func() {
		err = s.listener.Close()
		s.serving.Wait()
		_ = os.Remove(filepath.Dir(s.Path)) // not while there are others in it
	})
	return err
}

// List names the instances that run.
func List() ([]string, error) {
	dir := Directory()
	if err := private(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		if conn, err := net.Dial("unix", filepath.Join(dir, e.Name())); err == nil {
			_ = conn.Close()
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Fetch asks an instance for a snapshot.
func Fetch(name string) (Snapshot, error) {
	var shot Snapshot
	if err := CheckName(name); err != nil {
		return shot, err
	}
	dir := Directory()
	if err := private(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return shot, err
	}
	conn, err := net.Dial("unix", filepath.Join(dir, name+suffix))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return shot, fmt.Errorf("%q: %w", name, ErrNotRunning)
	}
	if err != nil {
		return shot, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := json.NewDecoder(conn).Decode(&shot); err != nil {
		if errors.Is(err, io.EOF) {
			err = ErrNotRunning // it ended just now
		}
		return shot, fmt.Errorf("%q: %w", name, err)
	}
	return shot, nil
}
