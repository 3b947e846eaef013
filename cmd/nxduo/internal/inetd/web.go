package inetd

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gonetx/tcp"
)

// openPage serves the page over the bridge to net.Listener.
func (s *Servers) openPage(service Service) error {
	listener, err := tcp.Listen(s.config.Instance, service.Port, &tcp.ConnOptions{Pool: s.config.Pool, Queue: queue})
	if err != nil {
		return err
	}
	s.page = &http.Server{Handler: s.config.Page, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if err := s.page.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("%s: %w", service.Name, err))
		}
	}()
	return nil
}

// Page is a web page that shows an instance:
//
//	/           who is here, and what text shows
//	/stat       the same text
//	/stat.json  as an object
//	/bytes/N    N bytes, for loads; POST anywhere reads what is sent, and counts it
func Page(title string, text func(io.Writer) error, object func(io.Writer) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var shown strings.Builder
		_ = text(&shown)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, map[string]any{"Title": title, "Peer": r.RemoteAddr, "Services": Services, "Text": shown.String()})
	})
	mux.HandleFunc("GET /stat", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = text(w)
	})
	mux.HandleFunc("GET /stat.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = object(w)
	})
	mux.HandleFunc("GET /bytes/{count}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseUint(r.PathValue("count"), 10, 40)
		if err != nil {
			http.Error(w, "how many bytes? /bytes/1000000", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatUint(n, 10))
		_, _ = io.CopyN(w, endless{}, int64(n))
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the client has gone
		}
		fmt.Fprintf(w, "%d bytes\n", n)
	})
	return mux
}

// endless reads as the pattern of chargen, without an end.
type endless struct{}

func (endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		n += copy(b[n:], pattern)
	}
	return n, nil
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
pre { overflow-x: auto; font-size: 13px; line-height: 1.4; border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: 6px; padding: 1rem }
td { padding-right: 2rem }
</style></head><body>
<h1>{{.Title}}</h1>
<p>This page came through a TCP/IP stack in a process, out of packets of a pool of fixed size. It was sent to {{.Peer}}.</p>
<table>{{range .Services}}<tr><td>{{.Name}}</td><td>port {{.Port}}</td><td>{{.RFC}}</td></tr>{{end}}</table>
<p><a href="/stat">/stat</a>, <a href="/stat.json">/stat.json</a>: what follows, for programs.
<a href="/bytes/1000000">/bytes/1000000</a>: so many bytes. POST anywhere: your bytes are counted.</p>
<pre>{{.Text}}</pre>
</body></html>
`))
