package rewriters_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/rewriters"
)

// Keys in every form that tools write are known, and their certificates are made anew with them.
func TestPrivateKeysInEveryForm(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	pkcs8 := func(k any) *pem.Block {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		check(t, err)
		return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	}
	sec1, err := x509.MarshalECPrivateKey(p384)
	check(t, err)
	for _, c := range []struct {
		name   string
		key    any
		public any
		block  *pem.Block
		stays  bool
	}{
		{"ed25519", ed, ed.Public(), pkcs8(ed), false},
		{"rsa pkcs8", rsaKey, rsaKey.Public(), pkcs8(rsaKey), false},
		{"rsa pkcs1", rsaKey, rsaKey.Public(), &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}, false},
		{"ec pkcs8", p256, p256.Public(), pkcs8(p256), false},
		{"ec sec1", p384, p384.Public(), &pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}, false},
		{"with a passphrase", p384, p384.Public(), &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: sec1}, true},
		{"not the certificate's", p384, p384.Public(), pkcs8(p256), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "golden"}, NotBefore: time.Unix(0, 0),
				NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, c.public, c.key)
			check(t, err)
			f := fixture(t, "tls")
			f.Files = map[string]string{"/etc/x/a.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
				"/etc/x/a.key": "# a comment\n" + string(pem.EncodeToMemory(c.block))}
			m := newMachine(t, f)
			m.become(t, f.Scene.To[0], true)
			key, err := os.ReadFile(filepath.Join(m.dir, "etc/x/a.key"))
			check(t, err)
			if stays := string(key) == f.Files["/etc/x/a.key"]; stays != c.stays || !strings.HasPrefix(string(key), "# a comment\n") {
				t.Errorf("stays %v, want %v:\n%s", stays, c.stays, key)
			}
			if now := m.certificate(t, "/etc/x/a.crt"); !c.stays {
				if err := handshake(t, m, m, "/etc/x/a.crt", "/etc/x/a.key", "/etc/x/a.crt", "golden2"); err != nil {
					t.Error(err)
				}
				if now.NotAfter.Year() != 9999 {
					t.Errorf("ends %v", now.NotAfter)
				}
			}
		})
	}
}

// What is no certificate or key is no reason to fall.
func FuzzCertificateNames(f *testing.F) {
	for _, data := range fixture(f, "tls").Files {
		f.Add([]byte(data))
	}
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAwCAQAwAwYBKgQCMAA=\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { rewriters.CertificateNames(data) })
}
