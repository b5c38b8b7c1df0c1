package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// content is an image of 300 KiB in which every block differs.
func content() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 300<<10; i++ {
		fmt.Fprintf(&b, "block %d\n", i)
	}
	return b.Bytes()
}

func sumOf(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// A vendor serves an image and its checksum file over https on the loopback address.
type vendor struct {
	*httptest.Server
	entry  *Entry
	images http.HandlerFunc // what answers for the image
	sums   string
	asked  atomic.Int32 // requests for the image
	ranges []string     // their Range headers
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{sums: "# comment\nSHA256 (other.qcow2) = " + strings.Repeat("0", 64) + "\n" + sumOf(content()) + "  disk.qcow2\n"}
	v.images = serve(content())
	v.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/SHA256SUMS":
			io.WriteString(w, v.sums)
		case "/disk.qcow2":
			v.asked.Add(1)
			v.ranges = append(v.ranges, r.Header.Get("Range"))
			v.images(w, r)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(v.Close)
	v.entry = &Entry{Name: "disk", Format: "qcow2", URL: v.URL + "/disk.qcow2", Sums: Sums{URL: v.URL + "/SHA256SUMS", Algorithm: "sha256"}}
	return v
}

// serve answers as a good server: whole, or the range that was asked for.
func serve(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

// cut answers with the first n bytes of what it should, and breaks the connection.
func cut(data []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:n])
		panic(http.ErrAbortHandler)
	}
}

func (v *vendor) fetcher(t *testing.T) *Fetcher {
	t.Helper()
	return &Fetcher{Dir: filepath.Join(t.TempDir(), "cache"), Client: v.Client(), Pause: time.Millisecond, Tries: 3}
}

// wantImage checks that the file is there, whole, and read-only.
func wantImage(t *testing.T, img *Image, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(img.Path)
	if err != nil || !bytes.Equal(data, content()) {
		t.Fatalf("%s: %d bytes, %v, want the image", img.Path, len(data), err)
	}
	if s, err := os.Stat(img.Path); err != nil || s.Mode().Perm() != 0o444 {
		t.Errorf("%s: mode %v, %v, want it read-only", img.Path, s.Mode(), err)
	}
}

// wantNothing checks that the cache holds no image, whatever else lies there.
func wantNothing(t *testing.T, f *Fetcher) {
	t.Helper()
	if list, err := filepath.Glob(filepath.Join(f.Dir, "*.qcow2")); err != nil || len(list) > 0 {
		t.Errorf("the cache holds %v, %v", list, err)
	}
}

func TestFetchOnceThenFromTheCache(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if img.Source != v.entry.URL || img.Digest != Digest("sha256:"+sumOf(content())) {
		t.Errorf("came from %s as %s", img.Source, img.Digest)
	}
	img, err = f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if img.Source != "cache" || v.asked.Load() != 1 {
		t.Errorf("the second time it came from %s, after %d requests", img.Source, v.asked.Load())
	}
	if parts, _ := filepath.Glob(filepath.Join(f.Dir, "*.part")); len(parts) > 0 {
		t.Errorf("left behind: %v", parts)
	}
}

func TestADamagedCacheIsFetchedAgain(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if err := errors.Join(os.Chmod(img.Path, 0o644), os.WriteFile(img.Path, []byte("rotten"), 0o644)); err != nil {
		t.Fatal(err)
	}
	img, err = f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if v.asked.Load() != 2 {
		t.Errorf("%d requests, want a second one", v.asked.Load())
	}
}

func TestATruncatedDownloadGoesOn(t *testing.T) {
	v := newVendor(t)
	v.images = func(w http.ResponseWriter, r *http.Request) {
		if v.asked.Load() == 1 {
			cut(content(), 200<<10)(w, r)
			return
		}
		serve(content())(w, r)
	}
	img, err := v.fetcher(t).Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if len(v.ranges) != 2 || v.ranges[0] != "" || !strings.HasPrefix(v.ranges[1], "bytes=") || v.ranges[1] == "bytes=0-" {
		t.Errorf("ranges %q, want the second request to go on", v.ranges)
	}
}

func TestAServerWithoutRangesIsReadFromTheStart(t *testing.T) {
	v := newVendor(t)
	v.images = func(w http.ResponseWriter, r *http.Request) {
		if v.asked.Load() == 1 {
			cut(content(), 200<<10)(w, r)
			return
		}
		w.Write(content())
	}
	img, err := v.fetcher(t).Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
}

func TestAnInterruptedFetchResumesNextTime(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.Progress = func(done, _ int64) {
		if done > 64<<10 {
			cancel()
		}
	}
	v.images = func(w http.ResponseWriter, r *http.Request) { // in two pieces, so that there is something to interrupt
		w.Header().Set("Content-Length", fmt.Sprint(len(content())))
		w.Write(content()[:128<<10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	if img, err := f.Fetch(ctx, v.entry); !errors.Is(err, context.Canceled) {
		t.Fatalf("Fetch = %v, %v, want it cancelled", img, err)
	}
	wantNothing(t, f)
	v.images, f.Progress = serve(content()), nil
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if last := v.ranges[len(v.ranges)-1]; !strings.HasPrefix(last, "bytes=") {
		t.Errorf("the last request asked for %q, want a range", last)
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	f.Silence = 50 * time.Millisecond
	v.images = func(w http.ResponseWriter, r *http.Request) {
		if v.asked.Load() > 1 {
			serve(content())(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content())))
		w.Write(content()[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	var log bytes.Buffer
	f.Log = &log
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if !strings.Contains(log.String(), "the server fell silent, attempt 1 of 3") {
		t.Errorf("log %q", log.String())
	}
}

func TestAPartOfSomethingElseIsThrownAway(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string][]byte{"shorter": bytes.Repeat([]byte("x"), 1000), "as long": bytes.Repeat([]byte("x"), len(content())), "longer": bytes.Repeat([]byte("x"), 400<<10)} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(f.Dir, "sha256-"+sumOf(content())+".part"), part, 0o600); err != nil {
				t.Fatal(err)
			}
			img, err := f.Fetch(t.Context(), v.entry)
			wantImage(t, img, err)
			if err := os.Remove(img.Path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestNothingUnverifiedIsReturned(t *testing.T) {
	wrong := append(content()[:len(content())-1], 'X')
	for name, c := range map[string]struct {
		prepare func(v *vendor, f *Fetcher)
		want    string
		corrupt bool
	}{
		"one byte differs": {prepare: func(v *vendor, _ *Fetcher) { v.images = serve(wrong) }, want: "the digest is not that of the image", corrupt: true},
		"too short":        {prepare: func(v *vendor, _ *Fetcher) { v.images = serve(content()[:1000]) }, want: "the digest is not", corrupt: true},
		"an error page":    {prepare: func(v *vendor, _ *Fetcher) { v.images = serve([]byte("<html>")) }, want: "the digest is not", corrupt: true},
		"a wrong pin":      {prepare: func(v *vendor, _ *Fetcher) { v.entry.Digest = Digest("sha256:" + strings.Repeat("a", 64)) }, want: "the digest is not", corrupt: true},
		"a wrong pin of ours": {prepare: func(v *vendor, f *Fetcher) {
			f.Config.Digests = map[string]Digest{"disk": Digest("sha512:" + strings.Repeat("a", 128))}
		}, want: "the digest is not", corrupt: true},
		"the connection breaks": {prepare: func(v *vendor, _ *Fetcher) { v.images = cut(content(), 100<<10) }, want: "the download stopped"},
		"the server has it not": {prepare: func(v *vendor, _ *Fetcher) { v.images = http.NotFound }, want: "the server does not have it"},
		"the server is ill":     {prepare: func(v *vendor, _ *Fetcher) { v.images = status(500) }, want: "the server answers 500"},
		"a redirect loop": {prepare: func(v *vendor, _ *Fetcher) {
			v.images = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/disk.qcow2", http.StatusFound) }
		}, want: "stopped after 10 redirects"},
		"sums in a redirect loop": {prepare: func(v *vendor, _ *Fetcher) { v.entry.Sums.URL = v.URL + "/loop" }, want: "stopped after 10 redirects"},
		"a range of another file": {prepare: func(v *vendor, _ *Fetcher) {
			v.images = func(w http.ResponseWriter, r *http.Request) {
				if v.asked.Load() == 1 {
					cut(content(), 100<<10)(w, r)
				}
				w.Header().Set("Content-Range", "bytes 0-9/10")
				w.WriteHeader(http.StatusPartialContent)
			}
		}, want: "the server answers 206"},
		"no sums":                {prepare: func(v *vendor, _ *Fetcher) { v.entry.Sums.URL = v.URL + "/no" }, want: "cannot read the vendor's checksums"},
		"no sum for the image":   {prepare: func(v *vendor, _ *Fetcher) { v.sums = sumOf(content()) + "  other.qcow2\n" }, want: "it has no sha256 sum for disk.qcow2"},
		"two sums for the image": {prepare: func(v *vendor, _ *Fetcher) { v.sums += strings.Repeat("1", 64) + "  disk.qcow2\n" }, want: "two different sha256 sums"},
		"sums that are too long": {prepare: func(v *vendor, _ *Fetcher) { v.sums = strings.Repeat("#", maxSums+1) }, want: "is larger than 4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			f := v.fetcher(t)
			c.prepare(v, f)
			img, err := f.Fetch(t.Context(), v.entry)
			if err == nil || img != nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrCorrupt) != c.corrupt {
				t.Errorf("Fetch = %v, %v, want an error with %q", img, err, c.want)
			}
			wantNothing(t, f)
		})
	}
}

// TestAnImageThatIsReplacedMeanwhile: the vendor puts out a new image, with its sums, while the old one is half here.
func TestAnImageThatIsReplacedMeanwhile(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	newer := bytes.ReplaceAll(content(), []byte("block"), []byte("bloc!"))
	v.images = func(w http.ResponseWriter, r *http.Request) {
		if v.asked.Load() == 1 {
			cut(content(), 200<<10)(w, r)
		}
		serve(newer)(w, r)
	}
	if img, err := f.Fetch(t.Context(), v.entry); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Fetch = %v, %v, want half of each refused", img, err)
	}
	if last := v.ranges[len(v.ranges)-1]; last != "" {
		t.Errorf("the last request asked for %q, want it whole", last)
	}
	wantNothing(t, f)
	v.sums = sumOf(newer) + "  disk.qcow2\n"
	img, err := f.Fetch(t.Context(), v.entry)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(img.Path); err != nil || !bytes.Equal(data, newer) {
		t.Errorf("%d bytes, %v, want the newer image", len(data), err)
	}
	if parts, _ := filepath.Glob(filepath.Join(f.Dir, "*.part")); len(parts) > 0 {
		t.Errorf("left behind: %v", parts)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestSumsAreReadOverHTTPSToTheEnd(t *testing.T) {
	v := newVendor(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, v.sums) }))
	t.Cleanup(plain.Close)
	turn := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/SHA256SUMS", http.StatusFound))
	t.Cleanup(turn.Close)
	f := v.fetcher(t)
	f.Client = turn.Client()
	v.entry.Sums.URL = turn.URL + "/SHA256SUMS"
	if _, err := f.Fetch(t.Context(), v.entry); err == nil || !strings.Contains(err.Error(), "which is not https") {
		t.Errorf("error %v, want the redirect refused", err)
	}
	wantNothing(t, f)
}

func TestMirrorsAndFoldersComeFirstAndAreNotTrusted(t *testing.T) {
	v := newVendor(t)
	good := httptest.NewServer(serve(content()))
	bad := httptest.NewServer(serve([]byte("not the image")))
	t.Cleanup(good.Close)
	t.Cleanup(bad.Close)
	folder, rotten := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "disk.qcow2"), content(), 0o644), os.WriteFile(filepath.Join(rotten, "disk.qcow2"), []byte("no"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config Config
		source string
	}{
		"a mirror":                        {Config{Mirrors: map[string][]string{v.URL + "/": {good.URL + "/m/"}}}, good.URL + "/m/disk.qcow2"},
		"a lying mirror, then a good one": {Config{Mirrors: map[string][]string{v.URL + "/": {bad.URL + "/", good.URL + "/"}}}, good.URL + "/disk.qcow2"},
		"a lying mirror, then the vendor": {Config{Mirrors: map[string][]string{v.URL + "/": {bad.URL + "/"}}}, v.entry.URL},
		"a mirror of others":              {Config{Mirrors: map[string][]string{"https://elsewhere.example/": {bad.URL + "/"}}}, v.entry.URL},
		"a folder":                        {Config{Local: []string{t.TempDir(), folder}}, filepath.Join(folder, "disk.qcow2")},
		"a rotten folder":                 {Config{Local: []string{rotten}}, v.entry.URL},
	} {
		t.Run(name, func(t *testing.T) {
			f := v.fetcher(t)
			f.Config = c.config
			img, err := f.Fetch(t.Context(), v.entry)
			wantImage(t, img, err)
			if img.Source != c.source {
				t.Errorf("came from %s, want %s", img.Source, c.source)
			}
			if left, _ := filepath.Glob(filepath.Join(f.Dir, ".local-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestWithoutTheVendorTheLastImageServes(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	var log bytes.Buffer
	f.Log = &log
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	v.Close()
	img, err = f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if img.Source != "cache" || !strings.Contains(log.String(), "taking the image that was fetched last") {
		t.Errorf("came from %s, log %q", img.Source, log.String())
	}
}

func TestAPinNeedsNoVendor(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "disk.qcow2"), content(), 0o644); err != nil {
		t.Fatal(err)
	}
	v.Close()
	f.Config = Config{Local: []string{folder}, Digests: map[string]Digest{"disk": Digest("sha256:" + sumOf(content()))}}
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
}

func TestTwoBenchesFetchOnce(t *testing.T) {
	v := newVendor(t)
	f := v.fetcher(t)
	f.Log = io.Discard
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := f.Fetch(t.Context(), v.entry)
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := v.asked.Load(); n != 1 {
		t.Errorf("%d requests for the image, want 1", n)
	}
}

func TestNoRoom(t *testing.T) {
	if err := room(t.TempDir(), 1<<60); !errors.Is(err, errRoom) || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("room for an exabyte: %v", err)
	}
}

func TestParseSums(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 128)
	for name, c := range map[string]struct{ data, algorithm, want string }{
		"GNU":                {a + "  f\n", "sha256", "sha256:" + a},
		"GNU, binary":        {a + " *f\n", "sha256", "sha256:" + a},
		"GNU, with a dot":    {a + "  ./f\n", "sha256", "sha256:" + a},
		"capital digits":     {strings.ToUpper(a) + "  f\n", "sha256", "sha256:" + a},
		"BSD":                {"# f: 12 bytes\nSHA256 (f) = " + a + "\n", "sha256", "sha256:" + a},
		"sha512":             {a + "  f\n" + b + "  f\n", "sha512", "sha512:" + b},
		"CRLF":               {a + "  f\r\n", "sha256", "sha256:" + a},
		"the same twice":     {a + "  f\n" + a + "  f\n", "sha256", "sha256:" + a},
		"another file":       {a + "  g\n", "sha256", ""},
		"a longer name":      {a + "  ff\n", "sha256", ""},
		"another algorithm":  {a + "  f\n", "sha512", ""},
		"BSD, wrong length":  {"SHA512 (f) = " + a + "\n", "sha512", ""},
		"not hexadecimal":    {strings.Repeat("g", 64) + "  f\n", "sha256", ""},
		"two that disagree":  {a + "  f\n" + strings.Repeat("b", 64) + "  f\n", "sha256", ""},
		"empty":              {"", "sha256", ""},
		"a page about it":    {"<a>" + a + "  f</a>\n", "sha256", ""},
		"only the beginning": {a[:10] + "  f\n", "sha256", ""},
	} {
		got, err := ParseSums([]byte(c.data), c.algorithm, "f")
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// FuzzParseSums: no panic, and what is found is a valid digest that stands in the file.
func FuzzParseSums(f *testing.F) {
	f.Add(strings.Repeat("a", 64)+"  f\nSHA512 (f) = "+strings.Repeat("b", 128)+"\n", "f")
	f.Fuzz(func(t *testing.T, data, file string) {
		for _, algorithm := range []string{"sha256", "sha512"} {
			d, err := ParseSums([]byte(data), algorithm, file)
			if err != nil {
				continue
			}
			if _, sum := d.parts(); !d.Valid() || !strings.Contains(strings.ToLower(data), sum) {
				t.Fatalf("found %q in %q", d, data)
			}
		}
	})
}

func TestPercent(t *testing.T) {
	got := []string{Percent(0, 10), Percent(5, 10), Percent(10, 10), Percent(5, -1), Percent(0, 0)}
	if diff := cmp.Diff([]string{"0%", "50%", "100%", "", ""}, got); diff != "" {
		t.Error(diff)
	}
}
