package fetch

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

const fpr = "0123456789ABCDEF0123456789ABCDEF01234567"

// validSig is what gpgv says of a signature by a subkey: the primary key's fingerprint is the last word.
const validSig = "[GNUPG:] VALIDSIG FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 2026-01-01 1767225600 0 4 0 1 10 00 " + fpr + "\n"

func TestGoodSigner(t *testing.T) {
	good := "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123 Vendor\n" + validSig
	for name, c := range map[string]struct{ status, want string }{
		"good":                       {good, fpr},
		"an unknown key, then good":  {"[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG 99 1 10 00 1 9 -\n[GNUPG:] NO_PUBKEY 99\n" + good, fpr},
		"bad":                        {"[GNUPG:] NEWSIG\n[GNUPG:] BADSIG 0123 Vendor\n", ""},
		"the key has expired":        {"[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG 0123 Vendor\n" + validSig, ""},
		"the signature has expired":  {"[GNUPG:] NEWSIG\n[GNUPG:] EXPSIG 0123 Vendor\n" + validSig, ""},
		"the key was revoked":        {"[GNUPG:] NEWSIG\n[GNUPG:] REVKEYSIG 0123 Vendor\n" + validSig, ""},
		"good, then one that is not": {"[GNUPG:] GOODSIG 1 a\n[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG 0123 Vendor\n" + validSig, ""},
		"no verdict":                 {validSig, ""},
		"nothing":                    {"", ""},
		"a blank line":               {"[GNUPG:]\n" + good, fpr},
	} {
		if got, flaw := goodSigner([]byte(c.status)); got != c.want || got != "" && flaw != "" {
			t.Errorf("%s: signed by %q, want %q", name, got, c.want)
		}
	}
}

func armored(data []byte) string {
	return "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a key\n\n" + base64.StdEncoding.EncodeToString(data) + "\n=AbCd\n-----END PGP PUBLIC KEY BLOCK-----\n"
}

func TestDearmor(t *testing.T) {
	one, two := []byte{0x99, 1, 2, 3, 0xff}, bytes.Repeat([]byte{0x98, 7}, 90)
	for name, c := range map[string]struct {
		in   string
		want []byte
	}{
		"a block":             {armored(one), one},
		"two blocks":          {"text\n" + armored(one) + "between\n" + armored(two), append(bytes.Clone(one), two...)},
		"CRLF":                {strings.ReplaceAll(armored(one), "\n", "\r\n"), one},
		"no headers":          {strings.Replace(armored(one), "Comment: a key\n", "", 1), one},
		"binary":              {string(two), two},
		"a page":              {"<html>", []byte("<html>")},
		"a block without end": {armored(one)[:60], []byte(armored(one)[:60])},
		"no base64":           {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n-----END PGP PUBLIC KEY BLOCK-----\n", nil},
	} {
		if got := dearmor([]byte(c.in)); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, want %x", name, got, c.want)
		}
	}
}

// FuzzDearmor: no panic, and armor around anything comes off again.
func FuzzDearmor(f *testing.F) {
	f.Add([]byte(armored([]byte{1, 2})))
	f.Fuzz(func(t *testing.T, data []byte) {
		dearmor(data)
		if got := dearmor([]byte(armored(data))); !bytes.Equal(got, data) {
			t.Fatalf("%x came back as %x", data, got)
		}
	})
}
