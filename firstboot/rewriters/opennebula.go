package rewriters

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/oned"
	"goldsmith/firstboot/text/yamlline"
)

const (
	onedConf = "/etc/one/oned.conf"
	oneHome  = "/var/lib/one"
	oneAuth  = oneHome + "/.one"
	// oneSQLite is oned's database where BACKEND is sqlite, and its name as a schema.
	oneSQLite = oneHome + "/one.db"
)

// openNebula makes a front-end a cloud of its own: MACs of its networks, names of its hosts, addresses in its datastores, zone
// and services, and everything secret. It works on the database before oned starts, so no request ever sees the old values.
//
// An image that holds OpenNebula installed but never started needs little of this: oned makes database, users and keys itself.
func openNebula() Rewriter {
	oneYAML := func(service string) Sweep {
		return Sweep{File: "/etc/one/" + service + "-server.conf", Codec: yamlline.Codec()}
	}
	return Rewriter{
		Name: "opennebula", Short: "OpenNebula: MACs, hosts, datastores, zone, secrets, service addresses", Phase: Stack,
		Units: []string{"opennebula-ssh-agent.service", "opennebula.service", "opennebula-fireedge.service", "opennebula-sunstone.service",
			"opennebula-gate.service", "opennebula-flow.service"},
		Settings: []Setting{
			{File: "/etc/one/sunstone-server.conf", Codec: yamlline.Codec(), Key: "public_fireedge_endpoint", Rule: PublicURL,
				Why: "the browser calls it"},
		},
		Sweeps: []Sweep{
			{File: onedConf, Codec: oned.Codec(), Except: []string{"MAC_PREFIX", "DB/PASSWD"}},
			{File: "/etc/one/monitord.conf", Codec: oned.Codec()},
			oneYAML("sunstone"), oneYAML("fireedge"), oneYAML("onegate"), oneYAML("oneflow"),
		},
		Owns: []Place{
			{Where: onedConf, Key: "MAC_PREFIX", Why: "VMs of two clones on one VLAN must not share MACs"},
			{Where: "opennebula.network_pool.body", Key: "AR/MAC", Why: "MAC_PREFIX is for new ranges; those that exist store theirs"},
			{Where: "opennebula.vm_pool.body", Key: "MAC, ETHn_MAC, HOSTNAME", Why: "leases of those ranges, with short_body and body_json"},
			{Where: "opennebula.host_pool.name", Why: "the name is what oned connects to"},
			{Where: "opennebula.datastore_pool.body", Key: "BRIDGE_LIST, *_HOST, IMAGE_PREFIX", Why: "see vitastor for the prefix"},
			{Where: "opennebula.zone_pool.body", Key: "ENDPOINT", Why: "fireedge and federated zones call it"},
			{Where: "opennebula.user_pool.body", Key: "PASSWORD, TOKEN_PASSWORD", Why: "a session of one clone must be refused by every other"},
			{Where: oneAuth + "/*", Why: "passwords of oneadmin and serveradmin, keys of the database and of FireEdge"},
			{Where: oneHome + "/.ssh/*", Why: "with a shared key, any clone's oneadmin is oneadmin on all; nodes that were told one cluster secret have one key"},
			{Where: "mysql.user", Key: "opennebula", Why: "the password that oned.conf holds"},
		},
		Leaves: []Place{
			{Where: "opennebula.datastore_pool.body", Key: "BASE_PATH", Why: "oned writes it anew from DATASTORE_LOCATION"},
			{Where: "opennebula.*.oid", Why: "local to each database"},
			{Where: oneAuth + "/one_key", Why: "stays where the database holds encrypted attributes"},
		},
		Plan: planOpenNebula,
	}
}

func planOpenNebula(ctx context.Context, s *Scene) error {
	data, err := s.Host.ReadFile(onedConf)
	if errors.Is(err, fs.ErrNotExist) { // a node: oned runs elsewhere
		return (&oneScene{Scene: s}).ssh()
	}
	if err != nil {
		return fmt.Errorf("cannot read OpenNebula's configuration: %w", err)
	}
	conf, err := oned.Parse(data)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", onedConf, err)
	}
	s.oneFederation(conf)
	s.oneSharedStores()
	one := &oneScene{Scene: s, conf: conf, prefix: s.macPrefix()}
	return errors.Join(one.database(ctx), one.configuration(ctx), one.files(ctx), one.ssh())
}

// oneFederation refuses a front-end that is part of something larger: its database is not its own.
func (s *Scene) oneFederation(conf *oned.File) {
	id, _, _ := conf.Get("FEDERATION/SERVER_ID")
	mode, _, _ := conf.Get("FEDERATION/MODE")
	if id != "" && id != "-1" || mode != "" && !strings.EqualFold(mode, "STANDALONE") {
		s.Danger(onedConf+" FEDERATION", "a clone of a front-end of a federation or an HA group (mode "+mode+", server "+id+
			") would write into the others' database log")
	}
}

// oneSharedStores refuses a datastore that all clones would mount: paths in it are <datastore>/<vm>/disk.<n>, and ids are equal.
func (s *Scene) oneSharedStores() {
	if s.Keeps("opennebula/shared-stores") {
		return
	}
	files, err := s.Host.Glob("/etc/systemd/system/var-lib-one-datastores-*.mount")
	if err != nil {
		return
	}
	for _, f := range append(files, "/etc/fstab") {
		data, err := s.Host.ReadFile(f)
		if err == nil && sharedStore.Match(data) {
			s.Danger(f, "a datastore is on a network file system, and clones that mount one export write to each other's disks: give each "+
				"clone an export of its own, or keep opennebula/shared-stores")
		}
	}
}

// sharedStore finds a line of fstab, or the Type of a mount unit, that is a network file system.
var sharedStore = regexp.MustCompile(`(?m)^[^#\s]+\s+/var/lib/one/datastores\S*\s+(nfs4?|ceph|glusterfs)\s|^Type=(nfs4?|ceph|glusterfs)\s*$`)

// A oneScene is a scene of one front-end.
type oneScene struct {
	*Scene
	conf   *oned.File
	schema string // the database, "" when oned never ran
	prefix string // MAC_PREFIX of this clone, "" to leave MACs alone
}

// table reads all columns of a table; a table that this release does not have is empty.
func (o *oneScene) table(ctx context.Context, name string) ([]host.Row, error) {
	return o.Host.Rows(ctx, o.schema, name)
}

// database finds out where oned keeps its state and proposes the rows. A front-end that never ran has none.
func (o *oneScene) database(ctx context.Context) error {
	backend, _, err := o.conf.Get("DB/BACKEND")
	if err != nil {
		return err
	}
	if !strings.EqualFold(backend, "mysql") {
		if _, err := o.Host.Stat(oneSQLite); err != nil {
			return o.neverStarted(oneSQLite)
		}
		o.schema = oneSQLite
		return o.rows(ctx)
	}
	name, ok, err := o.conf.Get("DB/DB_NAME")
	if err != nil {
		return err
	}
	if !ok {
		name = "opennebula"
	}
	all, err := o.Host.Schemas(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(all, name) {
		return o.neverStarted("database " + name)
	}
	o.schema = name
	return o.rows(ctx)
}

// neverStarted accepts that there is no database, unless the files that oned makes together with it are there: then it is
// elsewhere, or hidden from us, and its MACs and passwords would stay those of the golden image.
func (o *oneScene) neverStarted(what string) error {
	if o.hasFile("serveradmin") {
		return fmt.Errorf("cannot find %s, although oned was started here: %s/*_auth are there\n"+
			"hint: remove them to let oned begin anew, or give root access to the database", what, oneAuth)
	}
	o.Note(what, "not there: oned makes it when it starts for the first time")
	return nil
}

// configuration proposes what oned.conf holds of the clone's own. It comes after the rows: a MAC prefix that was written is a
// promise that the database keeps.
func (o *oneScene) configuration(ctx context.Context) error {
	if o.prefix != "" {
		if err := o.Set(oned.Codec(), onedConf, "MAC_PREFIX", o.prefix, "VMs of two clones on one VLAN must not share MACs"); err != nil {
			return err
		}
	}
	return o.databasePassword(ctx)
}

// databasePassword changes the account that oned.conf names, on the server and in the file.
func (o *oneScene) databasePassword(ctx context.Context) error {
	was, ok, err := o.conf.Get("DB/PASSWD")
	user, named, _ := o.conf.Get("DB/USER")
	if err != nil || !ok || !named || o.schema == "" || host.IsSQLite(o.schema) || !o.Rekeys("mysql/"+user) {
		return err
	}
	want := o.Secret("mysql/"+user, 32)
	users, err := o.Host.DBUsers(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, u := range users {
		if u["user"] == user {
			found = true
			o.Propose(plan.Change{Kind: plan.DBUser, Where: "mysql.user", Key: user + "@" + u["host"], Was: plan.Text(u["hash"]),
				Want: plan.Text(nativePassword(want)), Why: "the clone's own password", Restart: o.by.Units, Secret: true})
		}
	}
	if !found {
		o.Note(onedConf+" DB/USER", "the server has no account "+user+"; its password stays")
		return nil
	}
	o.Propose(plan.Change{Kind: plan.Kind(oned.Codec().Name), Where: onedConf, Key: "DB/PASSWD", Was: plan.Text(was), Want: plan.Text(want),
		Why: "the clone's own password", Restart: o.by.Units, Secret: true})
	return nil
}
