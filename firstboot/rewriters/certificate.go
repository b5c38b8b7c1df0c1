package rewriters

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A pemFile is a file with certificates or private keys in it. What stands between them stays.
type pemFile struct {
	path    string
	blocks  []*pemBlock
	tail    []byte
	changed bool
}

type pemBlock struct {
	in     *pemFile
	before []byte // what stands before it
	raw    []byte
	cert   *x509.Certificate
	key    *privateKey
}

// isPEM tells whether a file may have certificates or keys of TLS in it.
func isPEM(data []byte) bool {
	return bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----")) || bytes.Contains(data, []byte("PRIVATE KEY-----"))
}

// readPEM cuts a file into blocks. What cannot be read, such as a key with a passphrase, is text between blocks.
func readPEM(path string, data []byte) *pemFile {
	f := &pemFile{path: path}
	rest := data
	for {
		block, next := pem.Decode(rest)
		if block == nil {
			f.tail = rest
			return f
		}
		consumed := rest[:len(rest)-len(next)]
		at := max(bytes.LastIndex(consumed, []byte("-----BEGIN ")), 0)
		b := &pemBlock{in: f, before: consumed[:at], raw: consumed[at:]}
		b.cert, b.key = parseBlock(block)
		f.blocks = append(f.blocks, b)
		rest = next
	}
}

func parseBlock(block *pem.Block) (*x509.Certificate, *privateKey) {
	switch block.Type {
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil
		}
		return cert, nil
	case "PRIVATE KEY":
		return nil, readPKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		return nil, readPKCS1(block.Bytes)
	case "EC PRIVATE KEY":
		return nil, readSEC1(block.Bytes)
	}
	return nil, nil
}

func (f *pemFile) hasKey() bool {
	return slices.ContainsFunc(f.blocks, func(b *pemBlock) bool { return b.key != nil })
}

const lastTurn = 3

// turn is when a file is written: certificates, then files with both, signers' last, then keys.
func (f *pemFile) turn() int {
	cert, ca := false, false
	for _, b := range f.blocks {
		cert, ca = cert || b.cert != nil, ca || b.cert != nil && b.cert.IsCA
	}
	switch {
	case !f.hasKey():
		return 0
	case cert && !ca:
		return 1
	case cert:
		return 2
	}
	return lastTurn
}

// bytes returns the file as it shall be, nil where nothing changes.
func (f *pemFile) bytes() []byte {
	if !f.changed {
		return nil
	}
	var out []byte
	for _, b := range f.blocks {
		out = append(append(out, b.before...), b.raw...)
	}
	return append(out, f.tail...)
}

// setCertificate puts another certificate in a block's place. A description of the old one before it goes.
func (b *pemBlock) setCertificate(der []byte) {
	b.in.changed = true
	b.raw = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if i := bytes.Index(b.before, []byte("Certificate:\n")); i >= 0 {
		b.before = b.before[:i]
	}
}

// setKey puts another key in a block's place, unless it is there in any form.
func (b *pemBlock) setKey(key *privateKey) error {
	if publicKey(b.key.public) == publicKey(key.public) {
		return nil
	}
	var err error
	b.in.changed = true
	b.raw, err = key.pem()
	return err
}

// publicKey is a public key as certificates hold it.
func publicKey(k crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return "" // of a kind that no certificate has
	}
	return string(der)
}

// signedBy tells whether a public key signed a certificate. SHA-1 counts: old packstack signs with it.
func signedBy(cert *x509.Certificate, key crypto.PublicKey) bool {
	return (&x509.Certificate{PublicKey: key}).CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// A certificate is one that shall be issued: all of an old one, but for keys, names and dates.
type certificate struct {
	issuer, subject     []byte
	notBefore, notAfter time.Time
	extensions          []pkix.Extension
	moved               bool // it names an earlier self
}

// Extensions that do not stay as they are (RFC 5280, 4.2.1): identifiers of keys, key usage, other names.
var (
	subjectKeyID   = asn1.ObjectIdentifier{2, 5, 29, 14}
	authorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
	keyUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
	otherNames     = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// wantCertificate returns what shall stand in a certificate's place.
func (s *Scene) wantCertificate(c *x509.Certificate) (*certificate, error) {
	w := &certificate{notBefore: c.NotBefore, notAfter: c.NotAfter, extensions: slices.Clone(c.Extensions)}
	names, moved, err := s.alternativeNames(c)
	if err != nil {
		return nil, err
	}
	if w.subject, err = s.distinguishedName(c.RawSubject); err != nil {
		return nil, err
	}
	if w.issuer, err = s.distinguishedName(c.RawIssuer); err != nil {
		return nil, err
	}
	w.moved = moved || !bytes.Equal(w.subject, c.RawSubject) || !bytes.Equal(w.issuer, c.RawIssuer)
	if w.extension(otherNames) == nil {
		w.extensions = append(w.extensions, pkix.Extension{Id: otherNames})
	}
	w.extension(otherNames).Value = names
	const enciphers = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement
	if e := w.extension(keyUsage); e != nil && c.KeyUsage&enciphers != 0 {
		e.Value = withSignature(e.Value)
	}
	return w, nil
}

func (w *certificate) extension(id asn1.ObjectIdentifier) *pkix.Extension {
	for i := range w.extensions {
		if w.extensions[i].Id.Equal(id) {
			return &w.extensions[i]
		}
	}
	return nil
}

// withSignature adds digitalSignature to a key's usage: ECDSA signs where RSA enciphers.
func withSignature(der []byte) []byte {
	var usage asn1.BitString
	if _, err := asn1.Unmarshal(der, &usage); err != nil || len(usage.Bytes) == 0 {
		return der
	}
	usage.Bytes[0] |= 0x80
	if out, err := asn1.Marshal(usage); err == nil {
		return out
	}
	return der
}

// The kinds of other names that follow (RFC 5280, 4.2.1.6).
const (
	mailName    = 1
	dnsName     = 2
	addressName = 7
)

// alternativeNames follows the other names of a certificate, adds the clone's, and tells whether an earlier self was among
// them. They are sorted, so that it does not matter over which lives they came.
func (s *Scene) alternativeNames(c *x509.Certificate) (der []byte, moved bool, err error) {
	var old []asn1.RawValue
	for _, e := range c.Extensions {
		if e.Id.Equal(otherNames) {
			if _, err := asn1.Unmarshal(e.Value, &old); err != nil {
				return nil, false, fmt.Errorf("cannot read a certificate's names: %w", err)
			}
		}
	}
	var list []string // kind and content, which sort as text
	for _, n := range old {
		want := s.otherName(n.Tag, n.Bytes)
		moved = moved || want != string(n.Bytes)
		list = append(list, string(rune(n.Tag))+want)
		if n.IsCompound {
			list[len(list)-1] = string(rune(n.Tag|compound)) + want
		}
	}
	for _, n := range []string{s.To.Hostname, s.To.FQDN()} {
		if n != "" {
			list = append(list, string(rune(dnsName))+n)
		}
	}
	for _, a := range []netip.Addr{s.To.Address, s.To.Address6} {
		if a.IsValid() {
			list = append(list, string(rune(addressName))+string(a.Unmap().AsSlice()))
		}
	}
	slices.Sort(list)
	var out []asn1.RawValue
	for _, n := range slices.Compact(list) {
		out = append(out, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: int(n[0] &^ compound), IsCompound: n[0]&compound != 0, Bytes: []byte(n[1:])})
	}
	der, err = asn1.Marshal(out)
	return der, moved, err
}

// compound marks names that are made of parts, such as a directory's; they stay.
const compound = 0x20

func (s *Scene) otherName(kind int, was []byte) string {
	switch kind {
	case mailName:
		return s.mailbox(string(was))
	case dnsName:
		return s.name(string(was))
	case addressName:
		if a, ok := netip.AddrFromSlice(was); ok && s.To.Address.IsValid() && s.wasOurs(a) {
			return string(s.face(a.Unmap()).AsSlice())
		}
	}
	return string(was)
}

// mailbox follows the host of a mail address.
func (s *Scene) mailbox(m string) string {
	user, at, ok := cutLast(m, "@")
	if !ok {
		return m
	}
	return user + "@" + s.name(at)
}

// distinguishedName follows the names in a subject: packstack's are "service/host". One without them stays byte for byte.
func (s *Scene) distinguishedName(raw []byte) ([]byte, error) {
	var list pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("cannot read a certificate's name: %w", err)
	}
	moved := false
	for _, set := range list {
		for i, attr := range set {
			was, ok := attr.Value.(string)
			if !ok || !attr.Type.Equal(commonName) && !attr.Type.Equal(emailAddress) {
				continue // packstack is an organizational unit, too
			}
			parts := strings.Split(was, "/")
			for j, p := range parts {
				parts[j] = s.mailbox(s.host(p))
			}
			if want := strings.Join(parts, "/"); want != was {
				set[i].Value, moved = want, true
			}
		}
	}
	if !moved {
		return raw, nil
	}
	return asn1.Marshal(list)
}

var (
	commonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// startAt moves the validity, and keeps its length.
func (w *certificate) startAt(born time.Time) {
	length := w.notAfter.Unix() - w.notBefore.Unix() // a Duration ends at 292 years
	w.notBefore, w.notAfter = born, time.Unix(born.Unix()+length, 0)
	if last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC); w.notAfter.After(last) {
		w.notAfter = last // RFC 5280, 4.1.2.5: never
	}
}

// sign issues the certificate. The same content under the same keys is the same certificate, byte for byte: the serial
// number is made of it, and the signature needs no random bytes (RFC 6979). x509.CreateCertificate would do the same with
// sixty kilobytes more, and would not keep extensions that it does not know.
func (w *certificate) sign(key, by *privateKey) ([]byte, error) {
	for id, k := range map[*pkix.Extension]any{w.extension(subjectKeyID): keyID(key.public), w.extension(authorityKeyID): struct {
		ID []byte `asn1:"tag:0"`
	}{keyID(by.public)}} {
		if id != nil {
			var err error
			if id.Value, err = asn1.Marshal(k); err != nil {
				return nil, err
			}
		}
	}
	type validity struct{ NotBefore, NotAfter time.Time }
	tbs := struct {
		Version    int `asn1:"explicit,tag:0"`
		Serial     *big.Int
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		Validity   validity
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Extensions []pkix.Extension `asn1:"explicit,tag:3"`
	}{2, new(big.Int), by.algorithm(), whole(w.issuer), validity{w.notBefore.UTC(), w.notAfter.UTC()}, whole(w.subject),
		whole([]byte(publicKey(key.public))), w.extensions}
	der, err := asn1.Marshal(tbs)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	sum[0] = sum[0]&0x7f | 0x40 // positive, of one length
	tbs.Serial.SetBytes(sum[:16])
	if der, err = asn1.Marshal(tbs); err != nil {
		return nil, err
	}
	signature, err := by.sign(der)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{whole(der), by.algorithm(), asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}})
}

// whole is DER that is taken over as it is.
func whole(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

// keyID is what certificates call a key (RFC 5280, 4.2.1.2, method 1).
func keyID(k crypto.PublicKey) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal([]byte(publicKey(k)), &info); err != nil {
		return nil
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:]
}

// CertificateNames returns what the certificates of a file name, as text: base64 hides it from a search.
func CertificateNames(data []byte) []byte {
	if !isPEM(data) {
		return nil
	}
	var out []byte
	for _, b := range readPEM("", data).blocks {
		if c := b.cert; c != nil {
			out = fmt.Appendf(out, "%s %s %s %s %s\n", c.Subject, c.Issuer, c.DNSNames, c.IPAddresses, c.EmailAddresses)
		}
	}
	return out
}
