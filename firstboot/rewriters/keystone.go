package rewriters

import (
	"context"
	"encoding/base64"
	"fmt"
	"path"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/authority"
	"goldsmith/firstboot/text/ini"
)

// keystone owns the catalogue that clients read, and the keys that tokens are made with. Two clones with the same fernet
// keys take each other's tokens: ids of users and projects are equal, the database was cloned. A test that is pointed at
// the wrong clone would pass.
func keystone() Rewriter {
	return Rewriter{
		Name: "keystone", Short: "endpoint rows, fernet and credential keys, keystone's configuration", Phase: Stack,
		Units: []string{"keystone.service", "httpd.service", "memcached.service"}, // RDO runs it in Apache; memcached serves the old catalogue for ten minutes (measured)
		Settings: []Setting{{File: "/etc/keystone/keystone.conf", Codec: ini.Codec, Key: "[DEFAULT] public_endpoint", Rule: PublicURL,
			Why: "what keystone calls itself in its answers"}},
		Sweeps: []Sweep{{File: "/etc/keystone/keystone.conf", Codec: ini.Codec}},
		Owns: []Place{
			{Where: "keystone.endpoint", Key: "url", Why: "the catalogue: what clients call"},
			{Where: "keystone.service_provider", Key: "auth_url, sp_url", Why: "a federated keystone, where it is this one"},
			{Where: "/etc/keystone/fernet-keys/*", Why: "a token of one clone must be refused by every other"},
			{Where: "/etc/keystone/credential-keys/*", Why: "the same for stored credentials, when there are none yet"},
		},
		Leaves: []Place{
			{Where: "keystone.user.id", Why: "local to each clone's database, never on the wire between two"},
			{Where: "/etc/keystone/credential-keys/*", Why: "stay where keystone.credential has rows: they are encrypted with them"},
		},
		Plan: planKeystone,
	}
}

func planKeystone(ctx context.Context, s *Scene) error {
	if err := s.endpoints(ctx); err != nil {
		return err
	}
	if err := s.followRows(ctx, rowSet{schema: "keystone", table: "service_provider", key: []string{"id"}, columns: []string{"auth_url", "sp_url"},
		rule: URL, optional: true, why: "a federated keystone, where it is this one"}); err != nil {
		return err
	}
	if s.Rekeys("keystone/fernet") {
		if err := s.keyRepository("/etc/keystone/fernet-keys", "keystone/fernet"); err != nil {
			return err
		}
	}
	return s.credentialKeys(ctx)
}

// endpoints follows the catalogue's rows (facts of keystone 22's schema: no uniqueness beside the id). A host that is not
// and never was ours is left alone and reported.
func (s *Scene) endpoints(ctx context.Context) error {
	rows, err := s.Host.Rows(ctx, "keystone", "endpoint", "id", "interface", "url")
	if err != nil {
		return err
	}
	for _, r := range rows {
		s.endpoint(r)
	}
	return nil
}

func (s *Scene) endpoint(r host.Row) {
	public := r["interface"] == "public" || s.Policy.Endpoints != identity.PublicEndpoints
	want := s.url(r["url"], public)
	s.Propose(plan.Change{Kind: plan.Row, Was: plan.Text(r["url"]), Want: plan.Text(want), Restart: s.by.Units,
		Row: &plan.Target{Schema: "keystone", Table: "endpoint", Match: map[string]string{"id": r["id"]}, Column: "url"},
		Why: r["interface"] + " endpoint"})
	for _, h := range authority.Hosts(want) {
		if !s.here(h) {
			s.Note("keystone.endpoint "+r["id"], fmt.Sprintf("%s endpoint names %s, which is neither this clone nor an earlier self",
				r["interface"], h))
		}
	}
}

// credentialKeys changes the keys that credentials are encrypted with, where there is nothing to decrypt.
func (s *Scene) credentialKeys(ctx context.Context) error {
	if !s.Rekeys("keystone/credential") {
		return nil
	}
	rows, err := s.Host.Rows(ctx, "keystone", "credential", "id")
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		s.Note("/etc/keystone/credential-keys", fmt.Sprintf("kept: %d credentials are encrypted with them", len(rows)))
		return nil
	}
	return s.keyRepository("/etc/keystone/credential-keys", "keystone/credential")
}

// keyRepository fills a key directory as keystone-manage fernet_setup does: key 0 is staged, key 1 is primary, each 32
// bytes in URL-safe base64. Keys of other numbers are those of an earlier life and go.
func (s *Scene) keyRepository(dir, secret string) error {
	old, err := s.Host.Glob(dir + "/*")
	if err != nil || len(old) == 0 {
		return err
	}
	meta := plan.Meta{Mode: 0o600, Owner: "keystone", Group: "keystone"}
	for _, n := range []string{"0", "1"} {
		key := base64.URLEncoding.EncodeToString(s.SecretBytes(secret+"/"+n, 32))
		if err := s.SecretFile(path.Join(dir, n), []byte(key), meta, "the clone's own key"); err != nil {
			return err
		}
	}
	for _, p := range old {
		if b := path.Base(p); b != "0" && b != "1" {
			if err := s.file(p, nil, plan.Meta{}, "a key of the golden image", true); err != nil {
				return err
			}
		}
	}
	return nil
}
