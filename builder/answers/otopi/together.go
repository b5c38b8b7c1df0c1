package otopi

import (
	"slices"
	"strings"
)

// together checks answers against each other, and what a run without a person at the keyboard or a golden image needs.
func (c *checker) together() {
	if len(c.f.Settings) == 0 {
		return
	}
	if c.m.Kind == HostedEngine {
		c.hosted()
		return
	}
	c.unattended()
	c.firewall()
	c.database()
	c.isoDomain()
	c.heap()
}

// is reports whether key is answered with the bool want.
func (c *checker) is(key string, want bool) bool {
	a, ok := c.set[key]
	return ok && a.ok && a.Type == Bool && a.Truth() == want
}

// given reports whether key has an answer that is not "ask".
func (c *checker) given(key string) bool {
	a, ok := c.set[key]
	return ok && a.Type != None
}

// unattended: what engine-setup would ask for.
func (c *checker) unattended() {
	var asked []string
	for _, key := range []string{"OVESETUP_CONFIG/fqdn", "OVESETUP_CONFIG/adminPassword", "OVESETUP_DIALOG/confirmSettings"} {
		if !c.given(key) && !c.given("OVESETUP_ENGINE_CONFIG/"+strings.TrimPrefix(key, "OVESETUP_CONFIG/")) {
			asked = append(asked, key)
		}
	}
	if len(asked) > 0 && !c.given("OSETUP_RENAME/fqdn") {
		c.Warnf(0, "asked", "", "engine-setup will ask, and a run without a terminal stops: %s", strings.Join(asked, " "))
	}
	if c.is("OVESETUP_DIALOG/confirmSettings", false) {
		c.Errorf(c.set["OVESETUP_DIALOG/confirmSettings"].line, "not-confirmed", "OVESETUP_DIALOG/confirmSettings", "OVESETUP_DIALOG/confirmSettings=bool:False cancels the setup")
	}
	a, b := c.set["OVESETUP_CONFIG/fqdn"], c.set["OVESETUP_ENGINE_CONFIG/fqdn"]
	if a.ok && b.ok && a.Text != b.Text {
		c.Errorf(b.line, "mismatch-fqdn", "OVESETUP_ENGINE_CONFIG/fqdn", "OVESETUP_ENGINE_CONFIG/fqdn and OVESETUP_CONFIG/fqdn (line %d) name two machines", a.line)
	}
}

func (c *checker) firewall() {
	manager := c.set["OVESETUP_CONFIG/firewallManager"]
	switch {
	case c.is("OVESETUP_CONFIG/updateFirewall", true) && !c.given("OVESETUP_CONFIG/firewallManager"):
		c.Warnf(c.set["OVESETUP_CONFIG/updateFirewall"].line, "no-manager", "OVESETUP_CONFIG/updateFirewall", "OVESETUP_CONFIG/updateFirewall is on, and OVESETUP_CONFIG/firewallManager does not say for which one")
	case c.is("OVESETUP_CONFIG/updateFirewall", false) && manager.ok && manager.Type == Str:
		c.Warnf(manager.line, "moot", "OVESETUP_CONFIG/firewallManager", "OVESETUP_CONFIG/firewallManager is not read: OVESETUP_CONFIG/updateFirewall is off")
	case manager.ok && manager.Text == "iptables" && c.m.Release == "4.5":
		c.Errorf(manager.line, "old-manager", "OVESETUP_CONFIG/firewallManager", "OVESETUP_CONFIG/firewallManager: 4.5 configures firewalld only")
	}
}

// database: a database that setup does not make itself needs every coordinate.
func (c *checker) database() {
	host := c.set["OVESETUP_DB/host"]
	local := !host.ok || slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host.Text)
	if c.is("OVESETUP_PROVISIONING/postgresProvisioningEnabled", true) && !local {
		c.Errorf(host.line, "remote-provisioning", "OVESETUP_DB/host", "OVESETUP_DB/host is another machine, and setup can make a database only on its own (OVESETUP_PROVISIONING/postgresProvisioningEnabled)")
	}
	if c.is("OVESETUP_PROVISIONING/postgresProvisioningEnabled", false) && !c.given("OVESETUP_DB/password") {
		c.Errorf(c.set["OVESETUP_PROVISIONING/postgresProvisioningEnabled"].line, "missing-db-password", "OVESETUP_DB/password", "OVESETUP_DB/password is not set, and setup does not make the database")
	}
	if c.is("OVESETUP_DB/securedHostValidation", true) && !c.is("OVESETUP_DB/secured", true) {
		c.Errorf(c.set["OVESETUP_DB/securedHostValidation"].line, "unsecured", "OVESETUP_DB/securedHostValidation", "OVESETUP_DB/securedHostValidation needs OVESETUP_DB/secured=bool:True")
	}
}

func (c *checker) isoDomain() {
	const on = "OVESETUP_SYSTEM/nfsConfigEnabled"
	if c.m.Release != "3.4" {
		if a, ok := c.set["OVESETUP_CONFIG/storageType"]; ok {
			c.Warnf(a.line, "removed-key", "OVESETUP_CONFIG/storageType", "OVESETUP_CONFIG/storageType is ignored by 4.5").Hintf("OVESETUP_CONFIG/storageIsLocal=bool:False")
		}
		return
	}
	if c.is(on, true) && !c.given("OVESETUP_CONFIG/isoDomainMountPoint") {
		c.Warnf(c.set[on].line, "no-mount-point", on, "%s is on, and OVESETUP_CONFIG/isoDomainMountPoint is not set", on)
	}
	if c.is(on, true) {
		c.Warnf(c.set[on].line, "iso-domain", on, "%s makes an NFS share with an identity of its own: every clone offers the same ISO domain", on).Hintf("%s=bool:False", on)
	}
	if a := c.set["OVESETUP_CONFIG/isoDomainMountPoint"]; c.given("OVESETUP_CONFIG/isoDomainMountPoint") && c.is(on, false) {
		c.Warnf(a.line, "moot", "OVESETUP_CONFIG/isoDomainMountPoint", "OVESETUP_CONFIG/isoDomainMountPoint is not read: %s is off", on)
	}
}

func (c *checker) heap() {
	low, high := c.set["OVESETUP_CONFIG/engineHeapMin"], c.set["OVESETUP_CONFIG/engineHeapMax"]
	if low.ok && high.ok && low.Type == Str && high.Type == Str && megabytes(low.Text) > megabytes(high.Text) {
		c.Errorf(low.line, "heap-order", "OVESETUP_CONFIG/engineHeapMin", "OVESETUP_CONFIG/engineHeapMin is more than OVESETUP_CONFIG/engineHeapMax (line %d)", high.line)
	}
}

// megabytes reads a Java heap size that has the right form.
func megabytes(heap string) int {
	n, unit := 0, heap[len(heap)-1]
	for _, r := range heap[:len(heap)-1] {
		n = n*10 + int(r-'0')
	}
	switch unit {
	case 'g', 'G':
		return n * 1024
	case 'k', 'K':
		return n / 1024
	}
	return n
}

// hosted: a hosted-engine host has its identity in the shared storage (sanlock host id, domain and image UUIDs). Answers that
// carry it belong to one machine; in an image they would make two hosts one.
func (c *checker) hosted() {
	var identity []string
	first := 0
	for _, s := range c.f.Settings {
		key, here := c.m.Key(s.Name)
		a := c.set[s.Name]
		if here && a.ok && a.Type != None && (key.Form == "uuid" || key.Form == "hostid" || key.Form == "mac") {
			if identity = append(identity, s.Name); first == 0 {
				first = s.Line
			}
		}
	}
	if len(identity) > 0 {
		c.Warnf(first, "identity", "", "these answers are the identity of one machine, and a hosted-engine host cannot be cloned with them: %s", strings.Join(identity, " ")).
			Hintf("take them out, and deploy every host anew")
	}
	c.boot()
	c.nfs()
}

func (c *checker) boot() {
	boot, ok := c.set["OVEHOSTED_VM/vmBoot"]
	if !ok || !boot.ok {
		return
	}
	if boot.Text == "cdrom" && !c.given("OVEHOSTED_VM/vmCDRom") {
		c.Errorf(boot.line, "no-cdrom", "OVEHOSTED_VM/vmBoot", "OVEHOSTED_VM/vmBoot is cdrom, and OVEHOSTED_VM/vmCDRom does not name an image")
	}
	if boot.Text == "disk" && !c.given("OVEHOSTED_VM/ovfArchive") {
		c.Errorf(boot.line, "no-archive", "OVEHOSTED_VM/vmBoot", "OVEHOSTED_VM/vmBoot is disk, and OVEHOSTED_VM/ovfArchive does not name an appliance")
	}
}

func (c *checker) nfs() {
	domain := c.set["OVEHOSTED_STORAGE/domainType"]
	if v, ok := c.set["OVEHOSTED_STORAGE/nfsVersion"]; ok && domain.ok && !strings.HasPrefix(domain.Text, "nfs") {
		c.Warnf(v.line, "moot", "OVEHOSTED_STORAGE/nfsVersion", "OVEHOSTED_STORAGE/nfsVersion is not read: the storage is %s", domain.Text)
	}
	if domain.ok && domain.Text == "nfs" && c.m.Release == "3.4" {
		c.Errorf(domain.line, "nfs-version", "OVEHOSTED_STORAGE/domainType", "OVEHOSTED_STORAGE/domainType: 3.4 wants nfs3 or nfs4")
	}
	if domain.ok && (domain.Text == "iscsi" || domain.Text == "fc") && c.given("OVEHOSTED_STORAGE/storageDomainConnection") && strings.Contains(c.set["OVEHOSTED_STORAGE/storageDomainConnection"].Text, ":/") {
		c.Warnf(c.set["OVEHOSTED_STORAGE/storageDomainConnection"].line, "moot-connection", "OVEHOSTED_STORAGE/storageDomainConnection", "OVEHOSTED_STORAGE/storageDomainConnection is an NFS export, and the storage is %s", domain.Text)
	}
}
