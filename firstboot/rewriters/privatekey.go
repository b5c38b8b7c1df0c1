package rewriters

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
)

// A privateKey is what a file of TLS has. RSA keys are read for their public half only: they go, and all that signs with them
// would be a hundred kilobytes of firstboot.
type privateKey struct {
	public crypto.PublicKey
	signer crypto.Signer // nil for RSA
}

func keyOf(s crypto.Signer) *privateKey { return &privateKey{public: s.Public(), signer: s} }

var (
	rsaKey     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	ecKey      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	ed25519Key = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// readPKCS8 reads a key of any kind (RFC 5208); nil for a kind that is not known.
func readPKCS8(der []byte) *privateKey {
	var info struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil
	}
	switch {
	case info.Algorithm.Algorithm.Equal(rsaKey):
		return readPKCS1(info.Key)
	case info.Algorithm.Algorithm.Equal(ed25519Key):
		var seed []byte
		if _, err := asn1.Unmarshal(info.Key, &seed); err != nil || len(seed) != ed25519.SeedSize {
			return nil
		}
		return keyOf(ed25519.NewKeyFromSeed(seed))
	case info.Algorithm.Algorithm.Equal(ecKey):
		return readEC(info.Key, info.Algorithm.Parameters)
	}
	return nil
}

// readEC reads a key whose curve is named outside of it: it is put inside (RFC 5915).
func readEC(der []byte, parameters asn1.RawValue) *privateKey {
	var k struct {
		Version int
		Key     []byte
	}
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(der, &k); err != nil {
		return nil
	}
	if _, err := asn1.Unmarshal(parameters.FullBytes, &curve); err != nil {
		return nil
	}
	der, err := asn1.Marshal(struct {
		Version int
		Key     []byte
		Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	}{k.Version, k.Key, curve})
	if err != nil {
		return nil
	}
	return readSEC1(der)
}

func readSEC1(der []byte) *privateKey {
	k, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil
	}
	return keyOf(k)
}

// readPKCS1 reads the public half of an RSA key (RFC 8017, A.1.2).
func readPKCS1(der []byte) *privateKey {
	var k struct {
		Version int
		N       *big.Int
		E       int
	}
	if _, err := asn1.Unmarshal(der, &k); err != nil || k.N.Sign() <= 0 {
		return nil
	}
	return &privateKey{public: &rsa.PublicKey{N: k.N, E: k.E}}
}

// pem writes a key in the form that every library reads: SEC 1, or PKCS #8 for Ed25519 (RFC 8410, 7).
func (k *privateKey) pem() ([]byte, error) {
	if ed, ok := k.signer.(ed25519.PrivateKey); ok {
		head := []byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append(head, ed.Seed()...)}), nil
	}
	der, err := x509.MarshalECPrivateKey(k.signer.(*ecdsa.PrivateKey))
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

// algorithm is how a key signs (RFC 5758, 3.2; RFC 8410, 3).
func (k *privateKey) algorithm() pkix.AlgorithmIdentifier {
	if _, ok := k.signer.(ed25519.PrivateKey); ok {
		return pkix.AlgorithmIdentifier{Algorithm: ed25519Key}
	}
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
}

func (k *privateKey) sign(data []byte) ([]byte, error) {
	if _, ok := k.signer.(ed25519.PrivateKey); ok {
		return k.signer.Sign(nil, data, crypto.Hash(0))
	}
	sum := sha256.Sum256(data)
	return k.signer.Sign(nil, sum[:], crypto.SHA256)
}

// derivedKeys returns the keys that a seed makes for a name: Ed25519, and ECDSA on P-256, which takes RSA's place, too.
func derivedKeys(seed Seed, name string) (ed, ec *privateKey) {
	k, err := deriveECDSA(seed, "tls/ecdsa"+name)
	if err != nil {
		panic("internal error: " + err.Error()) // eight times one in 2^32
	}
	return keyOf(ed25519.NewKeyFromSeed(seed.Bytes("tls/ed25519"+name, ed25519.SeedSize))), keyOf(k)
}

// like returns the key that a seed makes in an old one's place.
func like(old *privateKey, seed Seed, name string) *privateKey {
	ed, ec := derivedKeys(seed, name)
	if _, ok := old.public.(ed25519.PublicKey); ok {
		return ed
	}
	return ec
}
