package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"stationd/agent/station"
)

// The console's pages are plain files in the program; there is no build step.

//go:embed web
var web embed.FS

// contentTypes are the kinds of file that the pages are made of. Others (notes,
// type descriptions) are not served.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".txt":  "text/plain; charset=utf-8",
}

// pages serves the embedded files; a path without a dot is the one page.
func (s *Server) pages() http.Handler {
	files := map[string]page{}
	err := fs.WalkDir(web, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || contentTypes[path.Ext(name)] == "" {
			return err
		}
		body, err := web.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		files[strings.TrimPrefix(name, "web")] = page{body: body, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, contentType: contentTypes[path.Ext(name)]}
		return nil
	})
	if err != nil {
		panic(err) // the files are in the program: this cannot happen
	}
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			return station.Errorf(http.StatusMethodNotAllowed, "method", "read pages with GET", "pages can only be read")
		}
		name := path.Clean(r.URL.Path)
		if !strings.Contains(name, ".") {
			name = "/index.html"
		}
		p, ok := files[name]
		if !ok {
			return station.ErrNotFound.At(name)
		}
		h := w.Header()
		h.Set("Content-Type", p.contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", p.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
		return nil
	})
}

type page struct {
	body        []byte
	etag        string
	contentType string
}
