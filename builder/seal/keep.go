package seal

import "path"

// A Keep is something that looks like identity or rubbish, and is not.
type Keep struct {
	Path string `json:"path"` // glob pattern, without the leading slash
	Why  string `json:"why"`
}

// Kept is what no operation touches. virt-sysprep deletes several of these, and the cloud is broken on every clone.
var Kept = []Keep{
	{"var/lib/nova/compute_id", "nova-compute refuses to start without it, or with another one"},
	{"etc/openvswitch/conf.db", "bridges and ports; firstboot changes it through its own tools"},
	{"etc/openvswitch/system-id.conf", "a changed id takes an all-in-one OVN down; firstboot renews it on a chassis of another machine's OVN"},
	{"var/lib/openvswitch", "database of OVN"},
	{"var/spool/cron/crontabs/keystone", "rotates fernet keys"},
	{"var/spool/cron/keystone", "rotates fernet keys"},
	{"var/spool/cron/nova", "purges nova's database"},
	{"var/spool/cron/cinder", "purges cinder's database"},
	{"var/spool/cron/heat", "purges heat's database"},
	{"var/tmp/packstack", "manifests and nova_migration_key of the installation, which a later run of packstack needs"},
	{"etc/nova/migration", "key pair of live migration; firstboot renews it on all nodes of a cluster together"},
	{"var/lib/one/.ssh", "trust between front-end and hosts; firstboot renews it"},
	{"var/lib/one/.one", "password file of oneadmin; firstboot changes it together with the database"},
	{"etc/pki/vdsm", "certificates of an oVirt host; renewed by the engine"},
	{"etc/pki/ovirt-engine", "authority of the engine; ovirt-engine-rename needs it"},
	{"etc/keystone/fernet-keys", "firstboot makes new ones; without any, keystone does not start"},
	{"etc/keystone/credential-keys", "encrypt rows of the database"},
	{"var/lib/rabbitmq", "users and vhosts of the broker; firstboot renews the cookie"},
	{"var/lib/mysql", "the databases"},
}

// kept says whether a path is on the list, or below something that is.
func kept(p string) bool {
	for ; p != "." && p != "/"; p = path.Dir(p) {
		for _, k := range Kept {
			if ok, _ := path.Match(k.Path, p); ok { // patterns are checked by a test
				return true
			}
		}
	}
	return false
}
