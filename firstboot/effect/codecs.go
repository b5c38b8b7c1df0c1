package effect

import (
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/apache"
	"goldsmith/firstboot/text/debconf"
	"goldsmith/firstboot/text/hosts"
	"goldsmith/firstboot/text/ifcfg"
	"goldsmith/firstboot/text/ini"
	"goldsmith/firstboot/text/interfaces"
	"goldsmith/firstboot/text/jsonkeys"
	"goldsmith/firstboot/text/keyfile"
	"goldsmith/firstboot/text/memcached"
	"goldsmith/firstboot/text/mycnf"
	"goldsmith/firstboot/text/netplan"
	"goldsmith/firstboot/text/oned"
	"goldsmith/firstboot/text/pysettings"
	"goldsmith/firstboot/text/shellvar"
	"goldsmith/firstboot/text/yamlline"
)

// codecs are the file formats by the name that a change's kind carries.
var codecs = byName(
	apache.Codec,
	debconf.Codec,
	hosts.Codec,
	ifcfg.Codec,
	ini.Codec,
	interfaces.Codec,
	keyfile.Codec,
	memcached.Codec,
	mycnf.Codec,
	netplan.Codec,
	jsonkeys.Codec(),
	oned.Codec(),
	pysettings.Codec,
	shellvar.Codec,
	yamlline.Codec(),
)

func byName(list ...text.Codec) map[plan.Kind]text.Codec {
	m := map[plan.Kind]text.Codec{}
	for _, c := range list {
		m[plan.Kind(c.Name)] = c
	}
	return m
}
