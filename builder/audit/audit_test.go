package audit

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func golden() []Needle {
	return Needles(identity.Identity{
		Hostname: "golden", Address: netip.MustParseAddr("10.0.0.1"), Address6: netip.MustParseAddr("2001:db8::1"),
		NICs: []identity.NIC{{Name: "eth0", MAC: "52:54:00:AB:cd:01"}}, MachineID: "0123456789abcdef0123456789abcdef",
		SystemID: "ABCDEF01-2345-6789-abcd-ef0123456789",
	})
}

// found searches a text and lists "encoding value" of each hit.
func found(text string) []string {
	list := patterns(golden())
	s := newScanner(list)
	var got []string
	_, err := s.scan(strings.NewReader(text), make([]byte, chunkSize), func(_ int64, p *pattern) {
		got = append(got, p.encoding+" "+golden()[p.needle].Value)
	})
	if err != nil {
		got = append(got, err.Error())
	}
	return got
}

func TestEveryEncoding(t *testing.T) {
	const mac = "52:54:00:ab:cd:01"
	for _, c := range []struct{ text, want string }{
		{"my_ip = 10.0.0.1\n", "plain 10.0.0.1"},
		{"http://10.0.0.1:5000/v3", "plain 10.0.0.1"},
		{"ip is 10.0.0.1.", "plain 10.0.0.1"},
		{"1.0.0.10.in-addr.arpa", "reversed dns 10.0.0.1"},
		{"ip-10-0-0-1.local", "dashed 10.0.0.1"},
		{"host_10_0_0_1", "underscored 10.0.0.1"},
		{"0x0A000001", "hex number 10.0.0.1"},
		{"option 0a:00:00:01;", "hex octets 10.0.0.1"},
		{"INSERT 167772161,", "decimal number 10.0.0.1"},
		{"31302e302e302e31", "hex 10.0.0.1"},
		{"1\x000\x00.\x000\x00.\x000\x00.\x001\x00", "utf-16le 10.0.0.1"},
		{"\x001\x000\x00.\x000\x00.\x000\x00.\x001", "utf-16be 10.0.0.1"},
		{"[2001:db8::1]:80", "plain 2001:db8::1"},
		{"2001:0DB8:0000:0000:0000:0000:0000:0001", "expanded 2001:db8::1"},
		{"2001%3adb8%3a%3a1", "url 2001:db8::1"},
		{"HWADDR=52:54:00:AB:CD:01", "plain " + mac},
		{"01:52:54:00:ab:cd:01", "plain " + mac},
		{"52-54-00-ab-cd-01", "dashed " + mac},
		{"by-mac-525400abcd01", "digits " + mac},
		{"5254.00ab.cd01", "dotted " + mac},
		{"52%3A54%3A00%3Aab%3Acd%3A01", "url " + mac},
		{"duid \x00\x01RT\x00\xab\xcd\x01", "binary " + mac},
		{"fe80::5054:ff:feab:cd01/64", "eui-64 " + mac},
		{"hostname golden\n", "plain golden"},
		{"rabbit@GOLDEN.example", "plain golden"},
		{"676f6c64656e", "hex golden"},
		{"01234567-89ab-cdef-0123-456789abcdef", "dashed 0123456789abcdef0123456789abcdef"},
		{"abcdef0123456789abcdef0123456789", "plain abcdef01-2345-6789-abcd-ef0123456789"},
		{"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", "binary 0123456789abcdef0123456789abcdef"},
	} {
		if got := found(c.text); !slices.Contains(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	for shift := range 6 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + "connect 10.0.0.1 now"))
		if got := found(text); !slices.Contains(got, "base64 10.0.0.1") {
			t.Errorf("base64 after %d bytes: %q", shift, got)
		}
	}
}

func TestLongerValuesAreNotHits(t *testing.T) {
	for _, text := range []string{
		"10.0.0.10", "110.0.0.1", "10.0.0.1.5", "5.10.0.0.1", "goldeneye", "marigolden", "golden2", "10-0-0-12", "1677721610",
		"21.0.0.10.in-addr.arpa", "2001:db8::12", "52:54:00:ab:cd:0", "10,0,0,1", "",
	} {
		if got := found(text); len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestNeedlesLeaveOutWhatEverybodyHas(t *testing.T) {
	got := Needles(identity.Identity{Hostname: "localhost", Address: netip.MustParseAddr("127.0.0.1")})
	got = append(got, Needles(identity.Identity{Hostname: "ab"})...)
	if len(got) > 0 {
		t.Errorf("needles %v", got)
	}
}

// TestScannerFindsWhatNaiveSearchFinds plants patterns in noise of the same letters, in chunks of every size.
func TestScannerFindsWhatNaiveSearchFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, needles := range [][]Needle{
		golden(), {{Name, "abc"}}, {{Name, "abcd"}, {Address, "10.0.0.1"}}, {{Name, "abcde"}}, {{MachineID, "0123456789abcdef0123456789abcdef"}},
		{{Address, "0.0.0.0"}}, Needles(identity.Marker()),
	} {
		compareWithNaive(t, r, patterns(needles))
	}
}

func compareWithNaive(t *testing.T, r *rand.Rand, list []pattern) {
	t.Helper()
	s := newScanner(list)
	for round := range 100 {
		data := make([]byte, 4000)
		for i := range data {
			p := list[r.IntN(len(list))].bytes
			data[i] = p[r.IntN(len(p))]
		}
		for range 20 {
			p := list[r.IntN(len(list))].bytes
			copy(data[r.IntN(len(data)-len(p)):], p)
		}
		var want, got []string
		for at := range data {
			for i := range list {
				if list[i].matches(data, at) {
					want = append(want, fmt.Sprint(at, list[i].encoding, list[i].needle))
				}
			}
		}
		buf := make([]byte, 3*s.reach+1+r.IntN(300))
		n, err := s.scan(bytes.NewReader(data), buf, func(at int64, p *pattern) { got = append(got, fmt.Sprint(at, p.encoding, p.needle)) })
		if err != nil || n != int64(len(data)) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q, round %d, buffer %d (-naive +scanner):\n%s", list[0].bytes, round, len(buf), diff)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("10.0.0.1 golden"), 3, "")
	f.Add([]byte("at 10.0.0.1, or on the web"), 9, "web")
	f.Fuzz(func(t *testing.T, data []byte, extra int, name string) {
		list := patterns(golden())
		if len(name) >= minName {
			list = append(list, textForms(name, letterEdge)...)
		}
		s := newScanner(list)
		buf := make([]byte, 3*s.reach+1+(extra&0xff))
		var got, want int
		if _, err := s.scan(bytes.NewReader(data), buf, func(int64, *pattern) { got++ }); err != nil {
			t.Fatal(err)
		}
		for at := range data {
			for i := range s.list {
				if s.list[i].matches(data, at) {
					want++
				}
			}
		}
		if got != want {
			t.Errorf("%d hits, naive search finds %d", got, want)
		}
	})
}

func treeOf(t testing.TB, files map[string][]byte) *tree.FS {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func zipped(t *testing.T, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two texts packed by xz 5.4.1, the second behind the filter for programs of x86: "xx golden" and "golden".
const (
	xzOfGolden    = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAIeHggZ29sZGVuAAAAAJW2eLnaGCM2AAEhCWwYxdUftvN9AQAAAAAEWVo="
	xzOfGoldenX86 = "/Td6WFoAAATm1rRGAgEEACEBFgANhjUfAQAFZ29sZGVuAAAAqweR+rniUqYAAR4GwS+kHR+2830BAAAAAARZWg=="
)

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	check(t, err)
	return b
}

func lz4ed(t *testing.T, data string, options ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	check(t, w.Apply(options...))
	_, err := io.WriteString(w, data)
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func archived(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, data := range files {
		m, err := w.Create(name)
		check(t, err)
		_, err = io.WriteString(m, data)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

// spoiled is an archive whose first member does not unpack to what its checksum says.
func spoiled(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range [][2]string{{"a", "nothing"}, {"b", "golden"}} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m[0], Method: zip.Store})
		check(t, err)
		_, err = io.WriteString(f, m[1])
		check(t, err)
	}
	check(t, w.Close())
	return bytes.Replace(b.Bytes(), []byte("nothing"), []byte("another"), 1)
}

func TestTree(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	big := append(bytes.Repeat([]byte("\n"), 3*chunkSize), "golden"...)
	root := treeOf(t, map[string][]byte{
		"etc/hosts":           []byte("127.0.0.1 localhost\n10.0.0.1 golden\n"),
		"etc/golden.conf":     []byte("nothing"),
		"var/log/old.gz":      zipped(t, "at 10.0.0.1\n"),
		"var/log/old.zst":     z.EncodeAll([]byte("golden"), nil),
		"var/log/broken.gz":   zipped(t, strings.Repeat("x", 1000))[:20],
		"boot/initrd":         append([]byte("070701 microcode TRAILER!!!"+strings.Repeat("\x00", 700)), zipped(t, "xx golden")...),
		"boot/broken.ko.xz":   []byte("\xfd7zXZ\x00packed"),
		"boot/module.ko.xz":   decoded(t, xzOfGolden),
		"boot/x86.xz":         decoded(t, xzOfGoldenX86),
		"var/log/old.lz4":     lz4ed(t, "10.0.0.1"),
		"boot/initrd.lz4":     lz4ed(t, "x 10.0.0.1", lz4.LegacyOption(true)),
		"srv/app.jar":         archived(t, map[string]string{"META-INF/x": "nothing", "conf/app.xml": "<golden/>"}),
		"srv/bad.zip":         spoiled(t),
		"srv/cut.zip":         archived(t, map[string]string{"a": "nothing"})[:30],
		"srv/notes.lz":        []byte("LZIP\x01\x0c"),
		"var/lib/mysql/t.ibd": []byte("\x00\x00page\x00golden\x00"),
		"var/big":             big,
		"skipped/file":        []byte("golden"),
	})
	check(t, root.Symlink("/srv/golden/data", "link"))
	host := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(host, nil, 0o644))

	got, err := Tree(t.Context(), root, Options{
		Needles: []Needle{{Name, "golden"}, {Address, "10.0.0.1"}},
		Owner: func(h Hit) string {
			if h.Path == "/etc/hosts" {
				return "hosts"
			}
			return ""
		},
		Skip: func(p string) bool { return p == "/skipped" },
	})
	check(t, err)
	want := []Hit{
		{"/boot/initrd", 3, 0, "name", "golden", "gzip, plain", ""},
		{"/boot/initrd.lz4", 2, 0, "address", "10.0.0.1", "lz4, plain", ""},
		{"/boot/module.ko.xz", 3, 0, "name", "golden", "xz, plain", ""},
		{"/boot/x86.xz", 0, 0, "name", "golden", "xz, plain", ""},
		{"/etc/golden.conf", -1, 0, "name", "golden", "name, plain", ""},
		{"/etc/hosts", 20, 2, "address", "10.0.0.1", "plain", "hosts"},
		{"/etc/hosts", 29, 2, "name", "golden", "plain", "hosts"},
		{"/link", -1, 0, "name", "golden", "link, plain", ""},
		{"/srv/app.jar", 1, 0, "name", "golden", "zip conf/app.xml, plain", ""},
		{"/srv/bad.zip", 0, 0, "name", "golden", "zip b, plain", ""},
		{"/var/big", 3 * chunkSize, 3*chunkSize + 1, "name", "golden", "plain", ""},
		{"/var/lib/mysql/t.ibd", 7, 0, "name", "golden", "plain", ""},
		{"/var/log/old.gz", 3, 0, "address", "10.0.0.1", "gzip, plain", ""},
		{"/var/log/old.lz4", 0, 0, "address", "10.0.0.1", "lz4, plain", ""},
		{"/var/log/old.zst", 0, 0, "name", "golden", "zstd, plain", ""},
	}
	got.Hits = slices.DeleteFunc(got.Hits, func(h Hit) bool { // what is too short to be packed stands there as it is
		return strings.Contains(h.Path, ".") && h.Encoding == "plain" && h.Owner == "" && h.Path != "/var/lib/mysql/t.ibd"
	})
	if diff := cmp.Diff(want, got.Hits); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"lzip": 1, "zip": 1}, got.Closed); diff != "" {
		t.Errorf("not looked into (-want +got):\n%s", diff)
	}
	if got.Files != 17 || len(got.Unread) != 3 || !strings.Contains(got.Unread[0], "broken.ko.xz") || !strings.Contains(got.Unread[1], "bad.zip: cannot unpack zip a") ||
		!strings.Contains(got.Unread[2], "broken.gz") {
		t.Errorf("%d files, unread %v", got.Files, got.Unread)
	}
	if n := len(got.Unowned()); n != 13 {
		t.Errorf("%d unowned", n)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHolesCostNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sparse")
	check(t, os.WriteFile(name, []byte("golden"), 0o644))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("xgolden "), 1<<40)
	check(t, err)
	_, err = f.WriteAt([]byte("golden"), 1<<40+8)
	check(t, err)
	root, err := tree.Open(dir)
	check(t, err)
	defer root.Close()
	began := time.Now()
	got, err := Tree(t.Context(), root, Options{Needles: []Needle{{Name, "golden"}}})
	check(t, err)
	if len(got.Hits) != 2 || got.Hits[1].Offset != 1<<40+8 || time.Since(began) > 10*time.Second {
		t.Errorf("%+v in %s", got.Hits, time.Since(began))
	}
}

func TestRefusesAndStops(t *testing.T) {
	root := treeOf(t, map[string][]byte{"x": nil})
	for _, n := range [][]Needle{nil, {{Name, "a"}}} {
		if _, err := Tree(t.Context(), root, Options{Needles: n}); report.CodeOf(err) != report.Usage {
			t.Errorf("%v: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Tree(ctx, root, Options{Needles: golden()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkScan(b *testing.B) {
	s := newScanner(patterns(golden()))
	text := bytes.Repeat([]byte("The quick brown fox; my_ip = 192.168.1.1 and host controller-7.\n"), 1<<14)
	noise := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for name, data := range map[string][]byte{"text": text, "binary": noise, "zeros": make([]byte, 1<<20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				s.find(data, 0, len(data), func(int, *pattern) { b.Fatal("a hit") })
			}
		})
	}
}

// A packed file is what its maker wants it to be: none may crash the search, or hold it up.
func FuzzUnpack(f *testing.F) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{xzOfGolden, xzOfGoldenX86, "H4sIAAAAAAACA0vPz0lJzQMAJUyqIwYAAAA=", "QlpoOTFBWSZTWXsOsbMAAAGBgAACJCAAIAAhpoMmgXckU4UJB7DrGzA="} {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(z.EncodeAll([]byte("golden"), nil))
	f.Add([]byte("\x04\x22\x4d\x18\x64\x40\xa7\x06\x00\x00\x80golden\x00\x00\x00\x00"))
	f.Add([]byte("PK\x03\x04"))
	dir := f.TempDir()
	root, err := tree.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { root.Close() })
	f.Fuzz(func(t *testing.T, data []byte) {
		check(t, os.WriteFile(filepath.Join(dir, "file"), data, 0o644))
		began := time.Now()
		got, err := Tree(t.Context(), root, Options{Needles: golden()})
		check(t, err)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%d bytes took %s to search", len(data), took)
		}
		if got.Files != 1 {
			t.Errorf("%d files", got.Files)
		}
	})
}
