package rewriters

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/ini"
	"goldsmith/firstboot/text/shellvar"
)

const (
	engineConf = "/etc/ovirt-engine/engine.conf.d/"
	engineDB   = engineConf + "10-setup-database.conf"
	engineName = engineConf + "10-setup-protocols.conf"
	dwhConf    = "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/"
	// enginePost says that engine-setup was run: the setup of the next release reads its answers there.
	enginePost = "/etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"
	// engineAnswers is what goldsmith-engine-setup.service runs engine-setup with. It removes the file when setup is done.
	engineAnswers = "/etc/goldsmith/engine-answers.conf"
	// engineRenew is what goldsmith-engine-renew.service issues certificates by, and removes when they are there.
	engineRenew = "/etc/goldsmith/engine-renew.conf"
)

// oVirt makes an engine a management of its own, in one of two ways. An image that holds the packages, and an answer file, gets
// the answers filled in: engine-setup then makes authority, database, keys and ids on the clone. An engine that was set up before
// it was cloned is renamed, in all places that ovirt-engine-rename knows and in those that it leaves; what all clones then still
// share has to be allowed by name (ovirt/ca), because it cannot be undone later.
func oVirt() Rewriter {
	return Rewriter{
		Name: "ovirt", Short: "oVirt engine: names, MAC pool, database, request for certificates; or the answers for engine-setup", Phase: Stack,
		Units: []string{"ovirt-engine.service", "ovirt-websocket-proxy.service", "ovirt-provider-ovn.service", "ovirt-engine-dwhd.service",
			"ovirt-vmconsole-proxy-sshd.service"},
		Owns: []Place{
			{Where: engineConf + "*.conf", Key: "any value", Why: "an address, qualified name or URL of the golden machine"},
			{Where: "/etc/ovirt-engine/*.conf.d, ovirt-engine-dwhd.conf.d, ovirt-provider-ovn/conf.d, grafana.ini", Key: "any value", Why: "the same"},
			{Where: engineAnswers, Key: "fqdn, adminPassword, macRangePool", Why: "engine-setup runs on the clone, with the clone's own answers"},
			{Where: engineRenew, Why: "asks goldsmith-engine-renew.service for certificates and admin's password"},
			{Where: enginePost, Key: "fqdn", Why: "the next engine-setup would bring the golden name back"},
			{Where: "/etc/pki/ovirt-engine/*.template, cert.conf", Key: "authorityInfoAccess", Why: "certificates to come say where the authority is"},
			{Where: "engine.vdc_options", Key: "option_value", Why: "WebSocketProxy, SpiceProxyDefault and others, by address or qualified name"},
			{Where: "engine.mac_pool_ranges", Key: "from_mac, to_mac", Why: macWhy},
			{Where: "engine.vm_interface", Key: "mac_addr", Why: macWhy},
			{Where: "engine.storage_server_connections", Key: "connection", Why: "exports of the engine's own machine"},
			{Where: "engine.providers", Key: "url, auth_url", Why: "OVN's provider"},
			{Where: "engine.sso_clients", Key: "callback_prefix, notification_callback", Why: "where a login returns to"},
			{Where: "engine.vds_static", Key: "host_name", Why: "the engine's machine as its own host"},
			{Where: "engine.cluster", Key: "spice_proxy", Why: "a proxy on the engine's machine"},
			{Where: "engine.dwh_history_timekeeping", Key: "dwhHostname", Why: "the data warehouse of this engine"},
			{Where: "engine.pg_authid", Key: "rolpassword", Why: "the engine's account, with the files that hold its password"},
		},
		Leaves: []Place{
			{Where: "/etc/pki/ovirt-engine", Key: "ca.pem, engine.p12, engine_id_rsa", Why: "of an engine set up before: shared by all clones, refused unless ovirt/ca is kept"},
			{Where: engineConf + "11-setup-sso.conf", Key: "ENGINE_SSO_CLIENT_SECRET", Why: "its row is encoded by the engine's own tool; used on this machine alone"},
			{Where: "engine.storage_pool, cluster, storage_domain_static", Key: "id", Why: "met only where two engines see one storage: reported"},
			{Where: "engine.dwh_history_timekeeping", Key: "dwhUuid", Why: "its pair is the data warehouse on this machine"},
			{Where: "engine.vds_static", Key: "other hosts", Why: "two engines would fight for them: refused unless ovirt/hosts is kept"},
		},
		Plan: planOVirt,
	}
}

// engineFiles are those in which any value may name the machine.
func engineFiles() []Setting {
	var out []Setting
	for _, f := range []string{engineConf, dwhConf, "/etc/ovirt-engine/ovirt-websocket-proxy.conf.d/", "/etc/ovirt-engine/ovirt-vmconsole-proxy-helper.conf.d/"} {
		out = append(out, Setting{File: f + "*.conf", Codec: shellvar.Codec})
	}
	for _, f := range []string{"/etc/ovirt-engine/logcollector.conf.d/*.conf", "/etc/ovirt-provider-ovn/conf.d/*.conf", "/etc/grafana/grafana.ini"} {
		out = append(out, Setting{File: f, Codec: ini.Codec})
	}
	return out
}

// files follows addresses, qualified names and URLs. A short name may be anything here: database and user are called engine, as
// machines are.
func (e *engine) files() error {
	var errs []error
	for _, set := range engineFiles() {
		paths, err := e.Host.Glob(set.File)
		errs = append(errs, err)
		set.Rule, set.Why = optionValue, "names the golden machine"
		for _, set.File = range paths {
			list, err := e.List(set.Codec, set.File)
			errs = append(errs, err)
			seen := map[string]bool{}
			for _, entry := range list {
				if set.Key = entry.Key; !seen[set.Key] {
					errs = append(errs, e.Follow(set))
				}
				seen[set.Key] = true
			}
		}
	}
	return errors.Join(errs...)
}

func planOVirt(ctx context.Context, s *Scene) error {
	if !strings.Contains(s.To.FQDN(), ".") {
		return fmt.Errorf("the engine needs a name with a domain, not %s\nhint: name the clone, or the machine that is baked, with one", s.To.FQDN())
	}
	if _, err := s.Host.Stat(engineAnswers); err == nil {
		return s.fillAnswers()
	}
	name, ok, err := s.Get(shellvar.Codec, engineName, "ENGINE_FQDN")
	if err != nil {
		return err
	}
	if !ok {
		s.Note("engine-setup", "was not run here, and there is no "+engineAnswers+" to run it with")
		return nil
	}
	if !s.Old.Name(name) && name != s.To.FQDN() {
		s.Note("the engine's name "+name, "is not the machine's; it stays, and all clones answer to it")
	}
	e := &engine{Scene: s}
	e.shared()
	return errors.Join(e.renew(s.name(name) != name), e.files(), e.pki(), e.database(ctx))
}

// fixed is a rule for a value that does not depend on the one before.
func fixed(v string) Rule { return func(*Scene, string) (string, error) { return v, nil } }

// fillAnswers makes the answers the clone's own. The release chose the keys when the image was baked; only those are set.
func (s *Scene) fillAnswers() error {
	from, to, err := s.nestedRange()
	if err != nil {
		return err
	}
	want := [][2]string{{"OVESETUP_CONFIG/fqdn", s.To.FQDN()}, {"OVESETUP_ENGINE_CONFIG/fqdn", s.To.FQDN()}, {"OVESETUP_CONFIG/macRangePool", from + "-" + to}}
	if s.Rekeys("ovirt/admin") {
		want = append(want, [2]string{"OVESETUP_CONFIG/adminPassword", s.adminPassword()})
	}
	var errs []error
	for i, a := range want {
		errs = append(errs, s.Follow(Setting{File: engineAnswers, Codec: ini.Codec, Key: "[environment:default] " + a[0], Rule: fixed("str:" + a[1]),
			Required: i == 0, Secret: i == 3, Restart: []string{}, Why: "engine-setup runs with it"}))
	}
	return errors.Join(errs...)
}

// adminPassword is admin@internal's, which the clone's administrator is told.
func (s *Scene) adminPassword() string {
	p := s.Secret("ovirt/admin", 24)
	s.Tell("ovirt/admin@internal", p)
	return p
}

// An engine is a scene of one that was set up before it was cloned.
type engine struct {
	*Scene
	schema string
	err    error // of reading tables
}

// shared refuses what all clones of such an engine have in common, unless it is allowed by name.
func (e *engine) shared() {
	if !e.Rekey {
		return
	}
	e.unless("ovirt/ca", "/etc/pki/ovirt-engine/ca.pem", "engine-setup was run before this engine was cloned, so every clone has its certificate authority and its SSH key to "+
		"hosts; recipe ovirt-engine lets engine-setup run on the clone")
	if on, _, err := e.Get(shellvar.Codec, engineConf+"12-setup-keycloak.conf", "KEYCLOAK_BUNDLED"); err == nil && strings.EqualFold(on, "true") {
		e.unless("ovirt/keycloak", "Keycloak", "logins return to the golden engine, by redirects in a database that is not known here; set up with OVESETUP_CONFIG/keycloakEnable=bool:False")
	}
}

// unless refuses something that the recipe may allow.
func (e *engine) unless(kept, what, why string) {
	if e.Keeps(kept) {
		e.Note(what, why)
		return
	}
	e.Danger(what, why+", or keep "+kept)
}

// renew asks for certificates under the new name, and for admin's password: both need the engine's own tools, so a unit makes
// them before the engine starts. The request comes before the change that it follows from: a cut between them loses nothing.
func (e *engine) renew(moved bool) error {
	data, err := e.Host.ReadFile(engineRenew)
	rekey := e.Rekeys("ovirt/admin")
	if err != nil && !moved && !rekey {
		return nil // nothing to ask for, and nothing asked for
	}
	text := "ENGINE_FQDN=" + e.To.FQDN() + "\n"
	if rekey {
		text += "ADMIN_PASSWORD=" + e.adminPassword() + "\n"
	} else if _, old, ok := strings.Cut(string(data), "\nADMIN_PASSWORD="); ok {
		text += "ADMIN_PASSWORD=" + old
	}
	return e.SecretFile(engineRenew, []byte(text), plan.Meta{Mode: 0o600}, "goldsmith-engine-renew.service makes it before the engine starts")
}

// pki follows the name in the forms of certificates to come, and in what the next engine-setup takes as said.
func (e *engine) pki() error {
	const dir = "/etc/pki/ovirt-engine/"
	files, err := e.Host.Glob(dir + "*.template")
	for _, f := range append(files, dir+"cert.conf", dir+"qemu-cert.conf", enginePost) {
		err = errors.Join(err, e.eachLine(f, "what comes next takes it as said", func(line string) string {
			for _, mark := range []string{"URI:", "fqdn=str:"} {
				if before, value, ok := strings.Cut(line, mark); ok {
					return before + mark + e.token(value)
				}
			}
			return line
		}))
	}
	return err
}

// database finds the engine's database. One on another machine would be shared by all clones.
func (e *engine) database(ctx context.Context) error {
	name, ok, err := e.Get(shellvar.Codec, engineDB, "ENGINE_DB_DATABASE")
	at, _, err2 := e.Get(shellvar.Codec, engineDB, "ENGINE_DB_HOST")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s does not name the engine's database", engineDB)
	}
	if at != "" && !e.here(at) && !Loopback(at) {
		e.Danger(engineDB, "the database is on "+at+", and all clones would be one engine in it")
		return nil
	}
	e.schema = host.PostgresSchema(name)
	e.hosts(ctx)
	e.pools(ctx)
	return errors.Join(e.err, e.rows(ctx), e.password(ctx))
}

// read returns rows; what fails is kept for the end.
func (e *engine) read(ctx context.Context, table string, columns ...string) []host.Row {
	rows, err := e.Host.Rows(ctx, e.schema, table, columns...)
	e.err = errors.Join(e.err, err)
	return rows
}

// set proposes one column of one row.
func (e *engine) set(table, key, id, column, was, want, why string, secret bool) {
	e.Propose(plan.Change{Kind: plan.Row, Was: plan.Text(was), Want: plan.Text(want), Restart: e.by.Units, Why: why, Secret: secret,
		Row: &plan.Target{Schema: e.schema, Table: table, Match: map[string]string{key: id}, Column: column}})
}
