package otopi

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/pyconf"
	"goldsmith/builder/answers/secret"
)

// Options says what New writes.
type Options struct {
	FQDN   string            // the engine's name
	Set    map[string]string // answers by key, with or without their type; they win
	Random io.Reader         // crypto/rand.Reader
}

// New writes the answers for an engine-setup that asks nothing: local database, everything on one machine, the firewall left
// alone, no ISO domain (its NFS share has an identity of its own), memory not checked, and a random password for the
// administrator. Answers that Check would call an error are refused, all of them at once, as [lint.Rejected].
func New(m *Model, o Options) ([]byte, error) {
	if m.Kind != EngineSetup {
		return nil, fmt.Errorf("cannot write answers for %s: its hosts take their identity from the shared storage and cannot be cloned", m.Kind)
	}
	password, err := secret.New(o.Random, 24)
	if err != nil {
		return nil, fmt.Errorf("cannot make OVESETUP_CONFIG/adminPassword: %w", err)
	}
	list := append(common(o.FQDN, password), byEra(m.Release, o.FQDN)...)
	given, err := m.typed(o.Set)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Answers for engine-setup of oVirt %s. The password is random.\n[%s]\n", m.Release, Section)
	for _, a := range list {
		if v, ok := given[a[0]]; ok {
			a[1] = v
			delete(given, a[0])
		}
		fmt.Fprintf(&b, "%s=%s\n", a[0], a[1])
	}
	for _, k := range slices.Sorted(maps.Keys(given)) {
		fmt.Fprintf(&b, "%s=%s\n", k, given[k])
	}
	data := []byte(b.String())
	if r := Check(data, m); r.Errors > 0 {
		return nil, &lint.Rejected{Findings: r.Findings}
	}
	return data, nil
}

// common are the answers of both eras.
func common(fqdn, password string) [][2]string {
	_, domain, _ := strings.Cut(fqdn, ".")
	return [][2]string{
		{"OVESETUP_DIALOG/confirmSettings", "bool:True"},
		{"OVESETUP_CORE/engineStop", "bool:True"},
		{"OVESETUP_CORE/offlinePackager", "bool:True"},
		{"OVESETUP_CONFIG/applicationMode", "str:both"},
		{"OVESETUP_CONFIG/fqdn", "str:" + fqdn},
		{"OVESETUP_CONFIG/adminPassword", "str:" + password},
		{"OVESETUP_CONFIG/updateFirewall", "bool:False"},
		{"OVESETUP_CONFIG/websocketProxyConfig", "bool:True"},
		{"OVESETUP_DB/host", "str:localhost"},
		{"OVESETUP_DB/port", "int:5432"},
		{"OVESETUP_DB/database", "str:engine"},
		{"OVESETUP_DB/user", "str:engine"},
		{"OVESETUP_DB/secured", "bool:False"},
		{"OVESETUP_DB/securedHostValidation", "bool:False"},
		{"OVESETUP_PROVISIONING/postgresProvisioningEnabled", "bool:True"},
		{"OVESETUP_PKI/organization", "str:" + domain},
		{"OVESETUP_APACHE/configureSsl", "bool:True"},
		{"OVESETUP_APACHE/configureRootRedirection", "bool:True"},
		{"OVESETUP_SYSTEM/memCheckEnabled", "bool:False"},
		{"OSETUP_RPMDISTRO/enableUpgrade", "bool:False"},
		{"OSETUP_RPMDISTRO/requireRollback", "bool:False"},
	}
}

func byEra(release, fqdn string) [][2]string {
	if release == "3.4" {
		return [][2]string{
			{"OVESETUP_CONFIG/storageType", "str:nfs"},
			{"OVESETUP_SYSTEM/nfsConfigEnabled", "bool:False"},
		}
	}
	return [][2]string{
		{"OVESETUP_CONFIG/storageIsLocal", "bool:False"},
		{"OVESETUP_ENGINE_CORE/enable", "bool:True"},
		{"OVESETUP_ENGINE_CONFIG/fqdn", "str:" + fqdn},
		{"OVESETUP_CONFIG/keycloakEnable", "bool:False"},
		{"OVESETUP_CONFIG/sanWipeAfterDelete", "bool:False"},
		{"OVESETUP_OVN/ovirtProviderOvn", "bool:False"},
		{"OVESETUP_VMCONSOLE_PROXY_CONFIG/vmconsoleProxyConfig", "bool:True"},
		{"OVESETUP_PKI/renew", "none:None"},
	}
}

// Edit says what Set changes.
type Edit struct {
	Set      map[string]string // new values by key, with or without their type
	Generate []string          // keys that get a new random secret
	Delete   []string          // keys that are taken out
	Random   io.Reader         // crypto/rand.Reader
}

// Set returns data with the edit done and everything else as it is. A file that does not parse, a key that this installer does
// not read and a value that Check calls an error are refused.
func Set(data []byte, m *Model, e Edit) ([]byte, error) {
	values, err := m.typed(e.Set)
	if err != nil {
		return nil, err
	}
	for _, key := range e.Generate {
		if k, here := m.Key(key); !here || !k.Secret {
			return nil, fmt.Errorf("cannot make a secret for %s: it is no secret of %s %s", key, m.Kind, m.Release)
		}
		v, err := secret.New(e.Random, 24)
		if err != nil {
			return nil, fmt.Errorf("cannot make %s: %w", key, err)
		}
		values[key] = "str:" + v
	}
	f := pyconf.Parse(data, pyconf.Exact)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if f, err = set(f, key, values[key]); err != nil {
			return nil, err
		}
	}
	for _, key := range e.Delete {
		if f, err = f.Delete(Section, key); err != nil {
			return nil, err
		}
	}
	if err := m.refuseBad(f.Bytes(), values); err != nil {
		return nil, err
	}
	return f.Bytes(), nil
}

func set(f *pyconf.File, key, value string) (*pyconf.File, error) {
	if s, ok := f.Get(Section, key); ok && len(s.More) > 0 && !strings.HasPrefix(s.Value, MultiStr+":") {
		return nil, fmt.Errorf("cannot set %s: line %d is indented and would be lost with the old value", key, s.More[0])
	}
	return f.Set(Section, key, value)
}

// typed puts the type of its key in front of every value that has none.
func (m *Model) typed(values map[string]string) (map[string]string, error) {
	out := map[string]string{}
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := values[k]
		key, here := m.Key(k)
		if _, err := ParseValue(v); err != nil && here && len(key.Types) > 0 {
			v = key.Types[0] + ":" + v
		} else if err != nil {
			errs = append(errs, fmt.Errorf("cannot set %s: %w", k, err))
		}
		out[k] = v
	}
	return out, errors.Join(errs...)
}

// refuseBad returns the errors that Check finds at the keys that were set.
func (m *Model) refuseBad(data []byte, values map[string]string) error {
	var bad []lint.Finding
	for _, f := range Check(data, m).Findings {
		if _, changed := values[f.Key]; changed && f.Severity == lint.Error {
			bad = append(bad, f)
		}
	}
	if len(bad) > 0 {
		return &lint.Rejected{Findings: bad}
	}
	return nil
}
