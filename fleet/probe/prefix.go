package probe

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// prefix compares what clones put before names in places that they share: the MACs of VMs in one VLAN, images on one pool.
func prefix() Probe {
	return Probe{Name: "prefix", Question: "are the prefixes of its VMs' MACs and of its images on shared pools its own?", Ask: func(ctx context.Context, t Target) Answer {
		var found []string
		if p := t.baseMAC(); p != "" {
			found = append(found, "base_mac "+p)
		}
		if p := t.setting(onedFile, macPrefixRule); p != "" {
			found = append(found, "MAC_PREFIX "+p)
		}
		images, a := t.imagePrefixes(ctx)
		switch {
		case a.Why != "":
			return a
		case len(found)+len(images) == 0:
			return skip("neither neutron nor OpenNebula has one in this image")
		}
		found = append(found, images...)
		_, show, _ := strings.Cut(found[0], " ")
		return pass(show, found...)
	}}
}

const onedFile = "/etc/one/oned.conf"

var (
	macPrefixRule = regexp.MustCompile(`(?mi)^\s*MAC_PREFIX\s*=\s*"?([0-9a-f:]+)`) // oned takes the first of two
	baseMACRule   = regexp.MustCompile(`(?m)^base_mac\s*=\s*([0-9A-Fa-f:]+)`)
	prefixRule    = regexp.MustCompile(`<IMAGE_PREFIX>(?:<!\[CDATA\[)?([^<\]]+)`)
)

// setting returns what the first group of a rule finds in a file, in lower case.
func (t Target) setting(file string, rule *regexp.Regexp) string {
	b, err := t.ReadFile(file)
	if m := rule.FindSubmatch(b); err == nil && m != nil {
		return strings.ToLower(string(m[1]))
	}
	return ""
}

// baseMAC is neutron's, where neutron-server draws from it: on computes nobody does.
func (t Target) baseMAC() string {
	if _, err := t.ReadFile("/etc/keystone/keystone.conf"); err != nil {
		return ""
	}
	return t.setting("/etc/neutron/neutron.conf", baseMACRule)
}

// imagePrefixes asks oned for its datastores, as its administrator: the database behind it is SQLite or a server.
func (t Target) imagePrefixes(ctx context.Context) ([]string, Answer) {
	if _, err := t.ReadFile("/usr/bin/oned"); err != nil {
		return nil, Answer{}
	}
	var pool string
	a := t.again(ctx, func() Answer {
		var err error
		if pool, err = t.askOned(ctx, "one.datastorepool.info"); err != nil {
			return fail("silent", "%v", err)
		}
		return Answer{}
	})
	var out []string
	for _, m := range prefixRule.FindAllStringSubmatch(pool, -1) {
		if p := "IMAGE_PREFIX " + m[1]; !slices.Contains(out, p) { // image and system datastore share one
			out = append(out, p)
		}
	}
	return out, a
}
