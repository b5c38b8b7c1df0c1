package rewriters_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// certificateNames spells out the names in certificates, so that a search for traces finds them behind their base64.
func certificateNames(data []byte) string {
	var out strings.Builder
	for _, c := range certificatesIn(data) {
		fmt.Fprintf(&out, "certificate of %s by %s for %s %s %s\n", c.Subject, c.Issuer, c.DNSNames, c.IPAddresses, c.EmailAddresses)
	}
	return out.String()
}

func certificatesIn(data []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			out = append(out, c)
		}
	}
	return out
}

// pairs are the certificates of the fixture with their keys and whoever signed them.
var pairs = []struct{ cert, key, ca string }{
	{"/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"},
	{"/root/packstackca/certs/selfcert.crt", "/root/packstackca/keys/selfcert.crt", "/etc/pki/tls/certs/packstack_cacert.crt"},
	{"/root/packstackca/certs/goldenssl_amqp.crt", "/root/packstackca/keys/goldenssl_amqp.key", "/etc/pki/tls/certs/packstack_cacert.crt"},
	{"/etc/pki/tls/certs/ssl_amqp.crt", "/etc/pki/tls/private/ssl_amqp.key", "/etc/ssl/certs/ca-certificates.crt"},
	{"/etc/pki/tls/certs/ssl_dashboard.crt", "/etc/pki/tls/private/ssl_dashboard.key", "/etc/pki/tls/certs/packstack_cacert.crt"},
	{"/etc/pki/tls/certs/ssl_vnc.pem", "/etc/pki/tls/certs/ssl_vnc.pem", "/etc/pki/tls/certs/ssl_vnc.pem"},
	{"/etc/mysql/ssl/server.crt", "/etc/mysql/ssl/server.key", "/etc/mysql/ssl/server.crt"},
}

// Every certificate that this machine signed works on the clone: a client that trusts its signer connects to the clone's
// names and addresses. A client of the golden machine or of another clone does not.
func TestCertificatesServeTheCloneAndNobodyElse(t *testing.T) {
	golden := newMachine(t, fixture(t, "tls"))
	one, two := newMachine(t, fixture(t, "tls")), newMachine(t, fixture(t, "tls"))
	two.seed = rewriters.Seed("another clone's own 32 byte seed")
	to := one.f.Scene.To[0]
	one.become(t, to, true)
	two.become(t, to, true)
	for _, p := range pairs {
		for _, name := range []string{"golden2", "golden2.example.org", "10.0.0.10"} {
			if err := handshake(t, one, one, p.cert, p.key, p.ca, name); err != nil {
				t.Errorf("%s for %s: %v", p.cert, name, err)
			}
		}
		for _, name := range []string{"golden", "golden.example.org", "10.0.0.1"} {
			if err := handshake(t, one, one, p.cert, p.key, p.ca, name); err == nil {
				t.Errorf("%s still serves %s", p.cert, name)
			}
		}
		for whose, trusted := range map[string]*machine{"the golden machine's": golden, "another clone's": two} {
			if err := handshake(t, one, trusted, p.cert, p.key, p.ca, "golden2"); err == nil {
				t.Errorf("%s: a client that trusts %s took it", p.cert, whose)
			}
		}
	}
}

// handshake serves a certificate of one machine to a client that trusts a CA file of another.
func handshake(t *testing.T, m, trusting *machine, cert, key, ca, name string) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(m.dir, cert), filepath.Join(m.dir, key))
	check(t, err)
	data, err := os.ReadFile(filepath.Join(trusting.dir, ca))
	check(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatalf("no certificate in %s", ca)
	}
	server, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	check(t, err)
	defer server.Close()
	go func() {
		if far, err := server.Accept(); err == nil {
			_ = far.(*tls.Conn).Handshake() // the client says what went wrong
			far.Close()
		}
	}()
	now := func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }
	near, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", server.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name, Time: now})
	if err == nil {
		near.Close()
	}
	return err
}

// A certificate keeps what it is for: subject, usages, constraints, kind of signer, length of its life, mode of its file.
func TestCertificatesKeepWhatTheyAreFor(t *testing.T) {
	m := newMachine(t, fixture(t, "tls"))
	before := map[string]*x509.Certificate{}
	for _, p := range pairs {
		before[p.cert] = m.certificate(t, p.cert)
	}
	modes := m.files(t)
	m.become(t, m.f.Scene.To[0], true)
	for _, p := range pairs {
		was, now := before[p.cert], m.certificate(t, p.cert)
		renamed := strings.NewReplacer("golden", "golden2", "676f6c64656e", "676f6c64656e32", "0c0c", "0c0d") // a mail address is shown in hexadecimal
		if now.Subject.String() != renamed.Replace(was.Subject.String()) {
			t.Errorf("%s: subject %s, was %s", p.cert, now.Subject, was.Subject)
		}
		if now.NotAfter.Sub(now.NotBefore) != was.NotAfter.Sub(was.NotBefore) || now.NotBefore.Equal(was.NotBefore) {
			t.Errorf("%s is valid from %v to %v, was from %v to %v", p.cert, now.NotBefore, now.NotAfter, was.NotBefore, was.NotAfter)
		}
		if now.IsCA != was.IsCA || now.KeyUsage&^x509.KeyUsageDigitalSignature != was.KeyUsage&^x509.KeyUsageDigitalSignature || !slices.Equal(now.ExtKeyUsage, was.ExtKeyUsage) {
			t.Errorf("%s is for CA %v, %v, %v; was CA %v, %v, %v", p.cert, now.IsCA, now.KeyUsage, now.ExtKeyUsage, was.IsCA, was.KeyUsage, was.ExtKeyUsage)
		}
		if now.SerialNumber.Cmp(was.SerialNumber) == 0 {
			t.Errorf("%s has the serial number of another certificate by the same name", p.cert)
		}
	}
	vnc := m.certificate(t, "/etc/pki/tls/certs/ssl_vnc.pem")
	if vnc.PublicKeyAlgorithm != x509.Ed25519 || fmt.Sprint(vnc.DNSNames, vnc.IPAddresses) != "[golden2 golden2.example.org localhost] [10.0.0.10 10.0.0.100 127.0.0.1]" {
		t.Errorf("noVNC's is %v for %v %v", vnc.PublicKeyAlgorithm, vnc.DNSNames, vnc.IPAddresses)
	}
	for name, data := range m.files(t) {
		mode, _, _ := strings.Cut(data, "\n")
		if was, _, _ := strings.Cut(modes[name], "\n"); strings.HasPrefix(name, "/etc/pki") && was != mode {
			t.Errorf("%s has mode %s, had %s", name, mode, was)
		}
	}
}

func (m *machine) certificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, file))
	check(t, err)
	list := certificatesIn(data)
	if len(list) == 0 {
		t.Fatalf("no certificate in %s", file)
	}
	return list[0]
}

// What a company's CA signed stays, with its key, and somebody is told.
func TestForeignCertificatesStay(t *testing.T) {
	m := newMachine(t, fixture(t, "tls"))
	before := m.files(t)
	notes := 0
	for _, c := range m.become(t, m.f.Scene.To[0], true) {
		if c.Kind == "note" && strings.Contains(c.Where, "cloud.company.example") && strings.Contains(c.Want.Text, "Company CA") {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("told %d times", notes)
	}
	after := m.files(t)
	for _, f := range []string{"/etc/pki/tls/certs/cloud.crt", "/etc/pki/tls/private/cloud.key"} {
		if before[f] != after[f] {
			t.Errorf("%s changed", f)
		}
	}
}

// Keys stay where the recipe keeps them, and in a cluster, where other nodes trust them; the names follow all the same.
func TestCertificatesWithKeysThatStay(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*rewritertest.Fixture, *identity.Identity)
	}{
		{"kept", func(f *rewritertest.Fixture, _ *identity.Identity) { f.Scene.Policy.KeepSecrets = []string{"tls"} }},
		{"cluster", func(_ *rewritertest.Fixture, to *identity.Identity) {
			to.Peers = map[string]netip.Addr{"compute1": netip.MustParseAddr("10.0.0.50")}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fixture(t, "tls")
			to := f.Scene.To[0]
			c.spoil(f, &to)
			m := newMachine(t, f)
			before := m.files(t)
			m.become(t, to, true)
			after := m.files(t)
			for _, p := range pairs {
				if p.cert != p.key && before[p.key] != after[p.key] {
					t.Errorf("%s changed", p.key)
				}
				if err := handshake(t, m, m, p.cert, p.key, p.ca, "10.0.0.10"); err != nil && !errors.As(err, new(x509.CertificateInvalidError)) {
					t.Errorf("%s: %v", p.cert, err) // the fixture's own dates are not the test's
				}
			}
			if again := m.become(t, to, true); len(again) > 0 {
				t.Errorf("a second plan is not empty:\n%s", render(again))
			}
		})
	}
}

// A converged clone that gets another address keeps its keys and the dates of its certificates; one that somebody installed
// since, and that names no earlier self, is left alone.
func TestCertificatesAfterRenumbering(t *testing.T) {
	m := newMachine(t, fixture(t, "tls"))
	m.become(t, m.f.Scene.To[0], true)
	before, files := m.certificate(t, pairs[0].cert), m.files(t)
	to := m.f.Scene.To[0]
	to.Address = m.f.Scene.To[1].Address
	m.become(t, to, false)
	now := m.certificate(t, pairs[0].cert)
	if !now.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(before.PublicKey) || !now.NotAfter.Equal(before.NotAfter) {
		t.Error("another key, or other dates")
	}
	if err := handshake(t, m, m, pairs[3].cert, pairs[3].key, pairs[3].ca, "10.0.1.7"); err != nil {
		t.Error(err)
	}
	if m.files(t)[pairs[3].key] != files[pairs[3].key] {
		t.Error("a key changed")
	}
	own := fixture(t, "tls").Files
	check(t, os.WriteFile(filepath.Join(m.dir, "etc/mysql/ssl/server.crt"), []byte(own["/root/packstackca/certs/selfcert.crt"]), 0o644))
	check(t, os.WriteFile(filepath.Join(m.dir, "etc/mysql/ssl/server.key"), []byte(own["/root/packstackca/keys/selfcert.crt"]), 0o600))
	to.Hostname, to.Domain = "golden", ""
	m.old = m.old[1:] // golden is nobody's name but this clone's
	for _, c := range m.become(t, to, false) {
		if c.Where == "/etc/mysql/ssl/server.crt" || c.Where == "/etc/mysql/ssl/server.key" {
			t.Errorf("%s was made anew", c.Where)
		}
	}
}

// Wherever a run is cut, under whatever seeds, the next one ends in the same place: keys are never parted from their
// certificates. The kill matrix does this with the whole binary; here each change is a step of its own.
func TestCertificatesAfterCuts(t *testing.T) {
	to := fixture(t, "tls").Scene.To[1]
	whole := newMachine(t, fixture(t, "tls"))
	whole.become(t, to, true)
	want := whole.files(t)
	cut := rewriters.Seed("a life that was cut and left this")
	for n := 0; ; n++ {
		m := newMachine(t, fixture(t, "tls"))
		p := m.planTLS(t, m.f.Scene.To[0], cut, nil)
		if n > len(p.Changes) {
			t.Logf("%d cuts", n)
			return
		}
		p.Changes = p.Changes[:n]
		m.apply(t, p)
		p = m.planTLS(t, m.f.Scene.To[1], m.seed, []rewriters.Seed{cut})
		p.Changes = p.Changes[:min(n, len(p.Changes))]
		m.apply(t, p)
		m.begun = []rewriters.Seed{cut}
		m.become(t, to, true)
		after := m.files(t)
		for _, p := range pairs {
			for _, f := range []string{p.cert, p.key, p.ca} {
				if after[f] != want[f] {
					t.Fatalf("cut after %d changes: %s differs", n, f)
				}
			}
		}
	}
}

func (m *machine) planTLS(t *testing.T, to identity.Identity, seed rewriters.Seed, begun []rewriters.Seed) *plan.Plan {
	t.Helper()
	list, err := rewriters.Select(nil)
	check(t, err)
	m.old = append(m.old, to)
	s := rewriters.NewScene(rewriters.Stack, m.old, m.f.Scene.Baked, to, m.f.Scene.Policy, m, seed)
	s.Rekey, s.Begun, s.Born = true, begun, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	list = slices.DeleteFunc(list, func(r rewriters.Rewriter) bool { return r.Name != "tls" })
	p, err := rewriters.Run(context.Background(), s, list)
	check(t, err)
	if len(p.Changes) == 0 {
		t.Fatal("nothing is planned")
	}
	return p
}
