package rewriters

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// certificates reissues what this machine signed itself. A certificate whose signer's key is here gets a key of the clone's
// own, the clone's names and addresses, and a signature by that signer, who has a new key, too. What somebody else signed
// cannot be made anew here; it is reported.
//
// RSA keys become ECDSA: a clone's keys are derived from its seed, so that an interrupted run ends with the keys that it
// began with, and Go's library derives no RSA.
func certificates() Rewriter {
	return Rewriter{
		Name: "tls", Short: "TLS certificates that this machine signed itself, and their keys", Phase: Stack, Base: true,
		Owns: []Place{
			{Where: "/etc/**, " + strings.Join(tlsDirs[1:], "/**, ") + "/**", Key: "certificates in PEM whose signer's key is on this machine",
				Why: "name the golden machine: ssl-cert-snakeoil, packstack's CA and what it signed, Horizon, noVNC, MariaDB, RabbitMQ, libvirt"},
			{Where: "/etc/**, " + strings.Join(tlsDirs[1:], "/**, ") + "/**", Key: "their private keys", Why: "who can read one clone's key can pose as all of them"},
		},
		Leaves: []Place{
			{Where: "any certificate", Key: "signed by a key that is not here", Why: "only its signer can issue it anew; the report names it"},
			{Where: "any key of a cluster", Why: "other nodes trust it; the names in its certificate follow"},
			{Where: "any key without a certificate, or with a passphrase", Why: "nobody knows whose it is"},
			{Where: "*.p12, *.jks, NSS databases, DER", Why: "no stack of ours writes them; oVirt's are made anew by its engine"},
			{Where: "/root/packstackca", Key: "requests and serial numbers", Why: "a record of what was signed, which nobody reads"},
		},
		Plan: planCertificates,
	}
}

// tlsDirs are searched for certificates and keys.
var tlsDirs = []string{"/etc", "/root/packstackca", "/usr/local/share/ca-certificates", "/var/lib/openvswitch/pki", "/var/lib/rabbitmq"}

// tlsOthers belong to others: SSH keys, nova's migration key, oVirt's own authority.
var tlsOthers = []string{"/etc/ssh/", "/etc/nova/migration/", "/etc/pki/ovirt-engine/", "/etc/pki/vdsm/"}

func planCertificates(_ context.Context, s *Scene) error {
	c := &certs{s: s, owner: map[string]string{}, onDisk: map[string]*privateKey{}, foreign: map[string]bool{}}
	if err := c.read(); err != nil || !slices.ContainsFunc(c.files, (*pemFile).hasKey) {
		return err
	}
	c.nameKeys()
	c.judge()
	return c.propose()
}

// certs is what the machine has of certificates and keys. A key is named after the last of its files in the order in which
// files are written: whatever a cut leaves half done, the old key still stands under that name, and every certificate is
// either signed by a key that is still there or has a key that can be derived from a name that is still there.
type certs struct {
	s       *Scene
	files   []*pemFile             // in the order in which they are written
	owner   map[string]string      // public key, as in a certificate: name of the key
	onDisk  map[string]*privateKey // name of the key: what stands there
	foreign map[string]bool        // names of keys that have a certificate by somebody else
}

func (c *certs) read() error {
	eyes := c.s.Host
	if r, ok := eyes.(interface{ Unrecorded() host.Reader }); ok {
		eyes = r.Unrecorded() // that a file was searched is no reason to plan again when it changes
	}
	var errs []error
	var found []*pemFile
	for _, dir := range tlsDirs {
		walkFiles(eyes, dir, 0, func(file string, data []byte) {
			if !isPEM(data) || slices.ContainsFunc(tlsOthers, func(p string) bool { return strings.HasPrefix(file, p) }) {
				return
			}
			data, err := c.s.Host.ReadFile(file) // and that a certificate changed is one
			errs = append(errs, err)
			found = append(found, readPEM(file, data))
		})
	}
	for turn := range lastTurn + 1 {
		for _, f := range found {
			if f.turn() == turn {
				c.files = append(c.files, f)
			}
		}
	}
	return errors.Join(errs...)
}

// nameKeys gives every key that is here, and every key that an interrupted run was about to put here, its name.
func (c *certs) nameKeys() {
	var names []string
	for _, f := range c.files {
		name := f.path
		for i, b := range f.blocks {
			if b.key != nil {
				names = append(names, name)
				c.owner[publicKey(b.key.public)], c.onDisk[name] = name, b.key
				name = fmt.Sprintf("%s#%d", f.path, i+1)
			}
		}
	}
	if !c.s.Rekey {
		return
	}
	for _, name := range names {
		for _, seed := range append([]Seed{c.s.seed}, c.s.Begun...) {
			ed, ec := derivedKeys(seed, name)
			c.owner[publicKey(ed.public)], c.owner[publicKey(ec.public)] = name, name
		}
	}
}

// judge finds the keys that have to stay because somebody else signed for them.
func (c *certs) judge() {
	c.each(func(b *pemBlock) {
		if name, ok := c.owner[publicKey(b.cert.PublicKey)]; ok && c.signer(b.cert) == "" {
			if !c.foreign[name] {
				c.s.Note("certificate for "+b.cert.Subject.String(), "kept: "+b.cert.Issuer.String()+
					", who signed it, is not on this machine; have it issued anew for this clone")
			}
			c.foreign[name] = true
		}
	})
}

func (c *certs) each(visit func(*pemBlock)) {
	for _, f := range c.files {
		for _, b := range f.blocks {
			if b.cert != nil {
				visit(b)
			}
		}
	}
}

// signer returns the name of the key that signed a certificate, "" for one that is not here.
func (c *certs) signer(cert *x509.Certificate) string {
	name, ok := c.owner[publicKey(cert.PublicKey)]
	if ok && signedBy(cert, cert.PublicKey) {
		return name
	}
	for _, by := range c.files {
		for _, b := range by.blocks {
			if b.cert != nil && c.owner[publicKey(b.cert.PublicKey)] != "" && signedBy(cert, b.cert.PublicKey) {
				return c.owner[publicKey(b.cert.PublicKey)]
			}
			if b.key != nil && signedBy(cert, b.key.public) {
				return c.owner[publicKey(b.key.public)]
			}
		}
	}
	return ""
}

// moves tells whether a key shall be another one.
func (c *certs) moves(name string) bool {
	return c.s.Rekeys("tls"+name) && !c.foreign[name] && len(c.s.To.Peers) == 0
}

// key returns the key that shall stand under a name.
func (c *certs) key(name string) *privateKey {
	if !c.moves(name) {
		return c.onDisk[name]
	}
	return like(c.onDisk[name], c.s.seed, name)
}

func (c *certs) propose() error {
	used := map[string]bool{}
	var errs []error
	c.each(func(b *pemBlock) {
		name := c.owner[publicKey(b.cert.PublicKey)]
		if name == "" || c.foreign[name] || c.signer(b.cert) == "" {
			return
		}
		used[name] = true
		errs = append(errs, c.reissue(b, name, c.signer(b.cert)))
	})
	for _, f := range c.files {
		for _, b := range f.blocks {
			if b.key == nil {
				continue
			}
			if name := c.owner[publicKey(b.key.public)]; used[name] && c.moves(name) {
				errs = append(errs, b.setKey(c.key(name)))
			}
		}
		errs = append(errs, c.file(f))
	}
	return errors.Join(errs...)
}

// reissue makes a certificate anew where its key, its signer's key or its names change.
func (c *certs) reissue(b *pemBlock, name, by string) error {
	want, err := c.s.wantCertificate(b.cert)
	if err != nil {
		return err
	}
	if !c.moves(name) && !c.moves(by) && !want.moved {
		return nil
	}
	if c.moves(name) {
		want.startAt(c.s.Born)
	}
	if c.key(by).signer == nil {
		c.s.Note("certificate for "+b.cert.Subject.String(), "kept: its signer's RSA key stays, and firstboot does not sign with RSA")
		return nil
	}
	der, err := want.sign(c.key(name), c.key(by))
	if err != nil {
		return fmt.Errorf("cannot issue the certificate for %s: %w", b.cert.Subject, err)
	}
	b.setCertificate(der)
	return nil
}

func (c *certs) file(f *pemFile) error {
	content := f.bytes()
	if content == nil {
		return nil
	}
	was, err := c.s.Host.ReadFile(f.path)
	if err != nil || bytes.Equal(was, content) {
		return err
	}
	c.s.Propose(plan.Change{Kind: plan.File, Where: f.path, Was: plan.Text(string(was)), Want: plan.Text(string(content)),
		Meta: &plan.Meta{}, Why: "the clone's own certificate or key", Restart: c.s.usersOf(f.path), Secret: f.hasKey()})
	return nil
}

// usersOf returns the units of whoever names a file in its configuration.
func (s *Scene) usersOf(file string) []string {
	var units []string
	if strings.HasPrefix(file, "/etc/pki/libvirt") || strings.HasPrefix(file, "/etc/pki/CA/") {
		units = append(units, libvirt().Units...)
	}
	ask := func(patterns []string, who []string) {
		for _, pattern := range patterns {
			paths, _ := s.Host.Glob(pattern) // a pattern of ours is not malformed
			for _, p := range paths {
				if data, err := s.Host.ReadFile(p); err == nil && strings.Contains(string(data), file) {
					units = append(units, who...)
				}
			}
		}
	}
	ask(append([]string{"/etc/apache2/mods-available/*.conf"}, vhostFiles...), apacheVHosts().Units)
	ask(mariaFiles, mariaDB().Units)
	ask([]string{path.Dir(rabbitEnv) + "/*"}, rabbitMQ().Units)
	ask(redisFiles, redis().Units)
	for _, r := range s.list {
		for _, sw := range r.Sweeps {
			ask([]string{sw.File}, r.Units)
		}
	}
	slices.Sort(units)
	return slices.Compact(units)
}
