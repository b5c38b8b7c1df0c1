package fetch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// A Key is what a vendor signs with. The fingerprint, of the primary key, is the root of all trust; whatever is at the address
// is believed only as far as it has that fingerprint.
type Key struct {
	Fingerprint string `json:"fingerprint"`
	URL         string `json:"url"` // of the public key, armored or not
}

var fingerprintPattern = regexp.MustCompile(`^[0-9A-F]{40}$`)

// ErrSignature is returned, wrapped, when a checksum file is not signed by one of the vendor's keys.
var ErrSignature = errors.New("the checksum file is not signed by the vendor")

// Verifier is the program that checks signatures; it is a part of apt on Debian.
const Verifier = "gpgv"

// signed checks the signature of a checksum file. Keys are kept once they have proved themselves; when those that are kept do not
// serve any more, they are fetched anew, since vendors prolong them.
func (f *Fetcher) signed(ctx context.Context, e *Entry, sums []byte) error {
	signature, err := f.small(ctx, e.Sums.Signature)
	if err != nil {
		return fmt.Errorf("cannot read its signature: %w", err)
	}
	if kept := f.keptKeys(e.Sums.Keys); len(kept) == len(e.Sums.Keys) {
		if f.gpgv(ctx, e.Sums.Keys, kept, sums, signature) == nil {
			return nil
		}
	}
	var rings [][]byte
	for _, k := range e.Sums.Keys {
		data, err := f.small(ctx, k.URL)
		if err != nil {
			return fmt.Errorf("cannot read the vendor's key: %w", err)
		}
		rings = append(rings, data)
	}
	if err := f.gpgv(ctx, e.Sums.Keys, rings, sums, signature); err != nil {
		return err
	}
	return f.keepKeys(e.Sums.Keys, rings)
}

func (f *Fetcher) keyFile(k Key) string { return filepath.Join(f.Dir, k.Fingerprint+".key") }

func (f *Fetcher) keptKeys(keys []Key) [][]byte {
	var out [][]byte
	for _, k := range keys {
		if data, err := os.ReadFile(f.keyFile(k)); err == nil {
			out = append(out, data)
		}
	}
	return out
}

func (f *Fetcher) keepKeys(keys []Key, rings [][]byte) error {
	for i, k := range keys {
		if err := renameio.WriteFile(f.keyFile(k), rings[i], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// gpgv lets GnuPG's verifier look at a signature, with these public keys and no others.
func (f *Fetcher) gpgv(ctx context.Context, keys []Key, rings [][]byte, sums, signature []byte) error {
	dir, err := os.MkdirTemp(f.Dir, ".gpgv-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var ring []byte
	for _, r := range rings {
		ring = append(ring, dearmor(r)...)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"ring.gpg": ring, "sums": sums, "signature": signature} {
		if err := os.WriteFile(file(name), data, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, Verifier, "--homedir", dir, "--keyring", file("ring.gpg"), "--status-fd", "1", file("signature"), file("sums"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	var said bytes.Buffer
	cmd.Stderr = &said
	status, err := cmd.Output() // an error is also a second signature by a key that we do not have
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("cannot check its signature: %w (package gpgv)", err)
	}
	signer, flaw := goodSigner(status)
	if slices.ContainsFunc(keys, func(k Key) bool { return k.Fingerprint == signer }) {
		return nil
	}
	return fmt.Errorf("%w (%s)%s: %s", ErrSignature, fingerprints(keys), flaw, strings.Join(strings.Fields(said.String()), " "))
}

func fingerprints(keys []Key) string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Fingerprint)
	}
	return strings.Join(out, ", ")
}

// flaws are the verdicts that keep a signature from being good, though its mathematics may be.
var flaws = map[string]string{
	"BADSIG": ", the signature is bad", "ERRSIG": ", the signature cannot be checked", "EXPSIG": ", the signature has expired",
	"EXPKEYSIG": ", the key has expired", "REVKEYSIG": ", the key was revoked",
}

// goodSigner reads the verifier's status lines (GnuPG, doc/DETAILS): the primary key behind a signature that is good, and neither
// it nor its key expired or revoked; or what is wrong with the last one. For each signature the verdict comes before VALIDSIG,
// whose last word is the fingerprint.
func goodSigner(status []byte) (fingerprint, flaw string) {
	good := false
	for sc := bufio.NewScanner(bytes.NewReader(status)); sc.Scan(); {
		words := strings.Fields(strings.TrimPrefix(sc.Text(), "[GNUPG:]"))
		switch {
		case len(words) == 0:
		case words[0] == "GOODSIG":
			good = true
		case words[0] == "NEWSIG", flaws[words[0]] != "":
			good, flaw = false, flaws[words[0]]
		case words[0] == "VALIDSIG" && good:
			return words[len(words)-1], ""
		}
	}
	return "", flaw
}

// dearmor unwraps every block of ASCII armor (RFC 9580, 6.2), and returns what has none as it is. The checksum of a block is left
// alone: a damaged key has another fingerprint.
func dearmor(data []byte) []byte {
	const begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
	rest, found := string(data), false
	var out []byte
	for {
		_, after, ok := strings.Cut(rest, begin)
		body, next, closed := strings.Cut(after, end)
		if !ok || !closed {
			break
		}
		out, rest, found = append(out, unwrap(body)...), next, true
	}
	if !found {
		return data
	}
	return out
}

// unwrap decodes the lines behind the headers of a block.
func unwrap(body string) []byte {
	_, body, _ = strings.Cut(strings.ReplaceAll(body, "\r", ""), "\n") // rest of the BEGIN line
	if headers, lines, ok := strings.Cut("\n"+body, "\n\n"); ok && !strings.Contains(headers, "=\n") {
		body = lines
	}
	var text strings.Builder
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "=") {
			text.WriteString(line)
		}
	}
	out, err := base64.StdEncoding.DecodeString(text.String())
	if err != nil {
		return nil // no key, which the verifier says
	}
	return out
}
