//go:build integration

package fetch

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A signer has a GnuPG home with one key.
type signer struct {
	t    *testing.T
	home string
	key  Key
}

func newSigner(t *testing.T, expire string) *signer {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg-") // the agent's socket wants a short path
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{t: t, home: home}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	s.gpg(nil, "--faked-system-time", "20260101T000000!", "--passphrase", "", "--quick-generate-key", "Vendor <v@example.org>", "ed25519", "sign", expire)
	list := s.gpg(nil, "--with-colons", "--list-keys")
	s.key.Fingerprint = string(regexp.MustCompile(`fpr:+([0-9A-F]{40}):`).FindSubmatch(list)[1])
	return s
}

func (s *signer) gpg(in []byte, args ...string) []byte {
	s.t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", s.home, "--batch", "--pinentry-mode", "loopback", "-q"}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("gpg %v: %v\n%s", args, err, errs.String())
	}
	return out
}

// sign makes the signature on the day that the key was made.
func (s *signer) sign(text string) []byte {
	return s.gpg([]byte(text), "--faked-system-time", "20260101T000001!", "--armor", "--detach-sign", "-o", "-")
}

func (s *signer) public() []byte { return s.gpg(nil, "--armor", "--export") }

// signedVendor serves signature and key beside image and sums.
type signedVendor struct {
	*vendor
	signature, key []byte
	keys           int // how often the key was asked for
}

func newSignedVendor(t *testing.T, s *signer) *signedVendor {
	t.Helper()
	v := &signedVendor{vendor: newVendor(t), key: s.public()}
	v.signature = s.sign(v.sums)
	old := v.Config.Handler
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/SHA256SUMS.gpg":
			w.Write(v.signature)
		case "/key":
			v.keys++
			w.Write(v.key)
		default:
			old.ServeHTTP(w, r)
		}
	})
	s.key.URL = v.URL + "/key"
	v.entry.Sums.Signature, v.entry.Sums.Keys = v.URL+"/SHA256SUMS.gpg", []Key{s.key}
	return v
}

func TestSignedChecksums(t *testing.T) {
	s := newSigner(t, "never")
	v := newSignedVendor(t, s)
	f := v.fetcher(t)
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	img, err = f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if v.keys != 1 {
		t.Errorf("the key was fetched %d times", v.keys)
	}
	if left, _ := filepath.Glob(filepath.Join(f.Dir, ".gpgv-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(f.keyFile(s.key), []byte("rotten"), 0o644); err != nil {
		t.Fatal(err)
	}
	img, err = f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	if v.keys != 2 {
		t.Errorf("a kept key that does not serve was fetched %d times, want once more", v.keys)
	}
}

func TestUnsignedChecksumsAreNotBelieved(t *testing.T) {
	other := newSigner(t, "never")
	for name, c := range map[string]struct {
		expire  string
		prepare func(v *signedVendor, s *signer)
		want    string
		bad     bool // ErrSignature
	}{
		"sums were changed": {"never", func(v *signedVendor, _ *signer) { v.sums += "# \n" }, "BAD signature", true},
		"another signed":    {"never", func(v *signedVendor, _ *signer) { v.signature = other.sign(v.sums) }, "No public key", true},
		"another signed, and his key is served": {"never", func(v *signedVendor, _ *signer) {
			v.signature, v.key = other.sign(v.sums), other.public()
		}, "Good signature", true},
		"the key has expired":    {"1d", func(*signedVendor, *signer) {}, "the key has expired", true},
		"no signature":           {"never", func(v *signedVendor, _ *signer) { v.entry.Sums.Signature = v.URL + "/no" }, "cannot read its signature", false},
		"no key":                 {"never", func(v *signedVendor, _ *signer) { v.entry.Sums.Keys[0].URL = v.URL + "/no" }, "cannot read the vendor's key", false},
		"a page for a signature": {"never", func(v *signedVendor, _ *signer) { v.signature = []byte("<html>") }, "not signed by the vendor", true},
		"a page for a key":       {"never", func(v *signedVendor, _ *signer) { v.key = []byte("<html>") }, "not signed by the vendor", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(t, c.expire)
			v := newSignedVendor(t, s)
			f := v.fetcher(t)
			f.Log = io.Discard
			c.prepare(v, s)
			img, err := f.Fetch(t.Context(), v.entry)
			if err == nil || img != nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrSignature) != c.bad {
				t.Errorf("Fetch = %v, %v, want an error with %q", img, err, c.want)
			}
			wantNothing(t, f)
			if kept, _ := filepath.Glob(filepath.Join(f.Dir, "*.key")); len(kept) > 0 {
				t.Errorf("a key that proved nothing was kept: %v", kept)
			}
			if v.asked.Load() > 0 {
				t.Error("the image was asked for")
			}
		})
	}
}

// TestAForgedListIsRefusedAlsoWithAnImageInTheCache: without a network the last image serves, with a forger in it none does.
func TestAForgedListIsRefusedAlsoWithAnImageInTheCache(t *testing.T) {
	s := newSigner(t, "never")
	v := newSignedVendor(t, s)
	f := v.fetcher(t)
	img, err := f.Fetch(t.Context(), v.entry)
	wantImage(t, img, err)
	v.sums = strings.Replace(v.sums, sumOf(content()), strings.Repeat("1", 64), 1)
	if img, err := f.Fetch(t.Context(), v.entry); !errors.Is(err, ErrSignature) {
		t.Errorf("Fetch = %v, %v", img, err)
	}
}
