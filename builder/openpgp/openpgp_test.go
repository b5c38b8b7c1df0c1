package openpgp

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// What gpg --show-keys prints of the keys in testdata.
const (
	ed25519Key = "C7B00F60258AEDA3F7C3A322BDDE67CD22B0D44A" // with a subkey, which is not listed
	rsaKey     = "7184D96203AC180276BD7C46EC213B61C110AEDD"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFingerprints(t *testing.T) {
	both := append(read(t, "key.asc"), read(t, "rsa.asc")...)
	for name, tc := range map[string]struct {
		data []byte
		want []string
	}{
		"binary": {read(t, "key.gpg"), []string{ed25519Key}}, "text": {read(t, "key.asc"), []string{ed25519Key}},
		"RSA": {read(t, "rsa.asc"), []string{rsaKey}}, "two": {both, []string{ed25519Key, rsaKey}},
		"CRLF":     {[]byte(strings.ReplaceAll(string(both), "\n", "\r\n")), []string{ed25519Key, rsaKey}},
		"armoured": {[]byte(Armor(read(t, "key.gpg"))), []string{ed25519Key}},
	} {
		if got, err := Fingerprints(tc.data); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoKeyring(t *testing.T) {
	key := read(t, "key.gpg")
	secret := slices.Clone(key)
	secret[0] = secret[0]&^0x3c | secretKey<<2
	old := slices.Clone(key)
	old[2] = 3
	text := string(read(t, "key.asc"))
	for say, data := range map[string][]byte{
		"no public key": nil, "no OpenPGP key": []byte("<html>404</html>"), "breaks off, or": key[:20], "secret key": secret,
		"version 3": old, "text of the key breaks off": []byte(text[:200]), "damaged": []byte(strings.Replace(text, "mDME", "m!ME", 1)),
		"no empty line":    []byte(strings.Replace(text, "\n\n", "\n", 1)),
		"which belongs in": []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n"),
	} {
		if got, err := Fingerprints(data); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, error %v, want one that says %q", got, err, say)
		}
	}
}

// gpg wrote both files: our text is its text.
func TestArmor(t *testing.T) {
	if got, want := Armor(read(t, "key.gpg")), string(read(t, "key.asc")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Armor(read(t, "key.asc")); got != string(read(t, "key.asc")) {
		t.Error("text was changed")
	}
}

func TestClean(t *testing.T) {
	spaced := "0xc7b0 0f60 258a eda3 f7c3  a322 bdde 67cd 22b0 d44a"
	if got := Clean(spaced); got != ed25519Key {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"", "BDDE67CD22B0D44A", ed25519Key + "00", "Z" + ed25519Key[1:]} {
		if got := Clean(bad); got != "" {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}

func FuzzFingerprints(f *testing.F) {
	f.Add(read(f, "key.gpg"))
	f.Add(read(f, "key.asc"))
	f.Add([]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 0xff, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Fingerprints(data)
		if err != nil {
			return
		}
		again, err := Fingerprints([]byte(Armor(data)))
		if err != nil || !slices.Equal(got, again) {
			t.Errorf("%v, as text %v, %v", got, again, err)
		}
		for _, k := range got {
			if Clean(k) != k {
				t.Errorf("%q is no fingerprint", k)
			}
		}
	})
}
