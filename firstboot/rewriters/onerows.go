package rewriters

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"regexp"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// A valueRule returns what shall stand in an element of an object's body.
type valueRule func(tag, was string) string

// A oneTable says which columns of a table hold bodies, what in them follows the clone, and which columns name a row.
type oneTable struct {
	name    string
	key     []string
	columns []string
	rule    valueRule
	secret  bool
	// absent in releases before that feature; others must be there
	optional bool
}

// rows proposes every object of the database that names the golden machine. Bodies are XML, in vm_pool also JSON (6.10).
func (o *oneScene) rows(ctx context.Context) error {
	id, body := []string{"oid"}, []string{"body"}
	if err := o.checkRanges(ctx); err != nil {
		return err
	}
	stores, err := o.datastoreRule(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range []oneTable{
		{name: "network_pool", key: id, columns: body, rule: o.macs},
		{name: "vm_pool", key: id, columns: []string{"body", "short_body", "body_json"}, rule: o.vm},
		{name: "history", key: []string{"vid", "seq"}, columns: body, rule: o.vm},
		{name: "template_pool", key: id, columns: body, rule: o.macs},
		{name: "vrouter_pool", key: id, columns: body, rule: o.macs},
		{name: "vn_template_pool", key: id, columns: body, rule: o.macs, optional: true}, // since 5.8
		{name: "datastore_pool", key: id, columns: body, rule: stores},
		{name: "zone_pool", key: id, columns: body, rule: o.zone},
	} {
		errs = append(errs, o.propose(ctx, t))
	}
	return errors.Join(append(errs, o.hosts(ctx), o.users(ctx))...)
}

func (o *oneScene) propose(ctx context.Context, t oneTable) error {
	list, err := o.table(ctx, t.name)
	if err != nil {
		if t.optional {
			return nil
		}
		return err
	}
	for _, r := range list {
		for _, c := range t.columns {
			if was, ok := r[c]; ok {
				o.row(t, r, c, follow(was, t.rule))
			}
		}
	}
	return nil
}

func (o *oneScene) row(t oneTable, r host.Row, column, want string) {
	match := map[string]string{}
	for _, k := range t.key {
		match[k] = r[k]
	}
	o.Propose(plan.Change{Kind: plan.Row, Was: plan.Text(r[column]), Want: plan.Text(want), Secret: t.secret, Restart: o.by.Units,
		Row: &plan.Target{Schema: o.schema, Table: t.name, Match: match, Column: column}, Why: "an object of the golden cloud"})
}

var (
	xmlValue  = regexp.MustCompile(`<([A-Z][A-Z0-9_]*)>(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))</([A-Z][A-Z0-9_]*)>`)
	jsonValue = regexp.MustCompile(`"([A-Z][A-Z0-9_]*)"(\s*:\s*)("(?:[^"\\]|\\.)*")`)
)

// follow applies a rule to every value of a body, XML or JSON, and leaves every other byte.
func follow(body string, rule valueRule) string {
	if strings.HasPrefix(body, "{") {
		return jsonValue.ReplaceAllStringFunc(body, func(m string) string { return followJSON(m, rule) })
	}
	return xmlValue.ReplaceAllStringFunc(body, func(m string) string { return followXML(m, rule) })
}

func followXML(m string, rule valueRule) string {
	g := xmlValue.FindStringSubmatch(m)
	if g[1] != g[4] {
		return m
	}
	open, end := "<"+g[1]+">", "</"+g[1]+">"
	if strings.HasPrefix(m[len(open):], "<![CDATA[") {
		if want := rule(g[1], g[2]); want != g[2] && !strings.Contains(want, "]]>") {
			return open + "<![CDATA[" + want + "]]>" + end
		}
		return m
	}
	want := rule(g[1], g[3])
	if want == g[3] {
		return m
	}
	var b strings.Builder
	if xml.EscapeText(&b, []byte(want)) != nil {
		return m
	}
	return open + b.String() + end
}

func followJSON(m string, rule valueRule) string {
	g := jsonValue.FindStringSubmatch(m)
	var was string
	if json.Unmarshal([]byte(g[3]), &was) != nil {
		return m
	}
	want := rule(g[1], was)
	if want == was {
		return m
	}
	quoted, err := json.Marshal(want)
	if err != nil {
		return m
	}
	return `"` + g[1] + `"` + g[2] + string(quoted)
}

// macs: MAC of a range or NIC, ETHn_MAC of a VM's context.
func (o *oneScene) macs(tag, was string) string {
	if o.prefix == "" || tag != "MAC" && !(strings.HasPrefix(tag, "ETH") && strings.HasSuffix(tag, "_MAC")) {
		return was
	}
	return underPrefix(o.prefix, was)
}

// vm: where it runs, where its console listens, and what its context calls.
func (o *oneScene) vm(tag, was string) string {
	switch tag {
	case "HOSTNAME", "LISTEN":
		return o.host(was)
	case "ONEGATE_ENDPOINT":
		return o.url(was, false)
	}
	return o.macs(tag, was)
}

func (o *oneScene) zone(tag, was string) string {
	if tag == "ENDPOINT" {
		return o.url(was, false)
	}
	return was
}

// checkRanges refuses a prefix under which two ranges that were apart would meet: MACs that were chosen by hand.
func (o *oneScene) checkRanges(ctx context.Context) error {
	if o.prefix == "" {
		return nil
	}
	list, err := o.table(ctx, "network_pool")
	if err != nil {
		return err
	}
	var before, after []macRange
	for _, r := range list {
		before = append(before, ranges(r["name"], r["body"], func(m string) string { return m })...)
		after = append(after, ranges(r["name"], r["body"], func(m string) string { return underPrefix(o.prefix, m) })...)
	}
	for _, pair := range newOverlaps(before, after) {
		o.Danger(o.schema+".network_pool", pair+" would share MACs under the clone's prefix: give their ranges other MACs in the golden image")
	}
	return nil
}

// hosts renames hosts that bear this machine's name, in the name column and in the body's own NAME, which is its first.
func (o *oneScene) hosts(ctx context.Context) error {
	list, err := o.table(ctx, "host_pool")
	if err != nil {
		return err
	}
	t := oneTable{name: "host_pool", key: []string{"oid"}}
	for _, r := range list {
		want := o.host(r["name"])
		if len(want) < 2 || len(want) > 63 { // oned: HOSTNAME length should be greater than 1, but smaller than 64
			o.Danger("host "+r["name"], "oned takes host names of 2 to 63 characters, not "+want)
			continue
		}
		o.row(t, r, "name", want)
		first := true
		o.row(t, r, "body", follow(r["body"], func(tag, was string) string {
			if tag != "NAME" || !first {
				return was
			}
			first = false
			return o.host(was)
		}))
	}
	return nil
}

// users changes passwords and token passwords. The hash is of the kind that stands there: SHA-1 up to 5.8, SHA-256 since.
// serveradmin's driver, server_cipher, compares with the SHA-256 of what the services' files hold.
func (o *oneScene) users(ctx context.Context) error {
	list, err := o.table(ctx, "user_pool")
	if err != nil {
		return err
	}
	t := oneTable{name: "user_pool", key: []string{"oid"}, secret: true}
	for _, r := range list {
		o.row(t, r, "body", follow(r["body"], func(tag, was string) string { return o.credential(r, tag, was) }))
	}
	return nil
}

func (o *oneScene) credential(r host.Row, tag, was string) string {
	name := r["name"]
	switch {
	case tag == "TOKEN_PASSWORD" && o.Rekeys("opennebula/token"):
		return hex.EncodeToString(o.SecretBytes("opennebula/token/"+r["oid"], 32))
	case tag == "PASSWORD" && (name == "oneadmin" || name == "serveradmin") && o.Rekeys("opennebula/"+name) && o.hasFile(name):
		return digestLike(was, o.onePassword(name))
	case tag == "SSH_PUBLIC_KEY" && o.Rekeys("opennebula/ssh") && o.ownKey(was):
		return strings.TrimSpace(string(o.sshKey().public))
	}
	return was
}

// hasFile tells whether the password stands in a file that can follow: without one nobody would know the new password.
func (o *oneScene) hasFile(user string) bool {
	return slices.ContainsFunc(o.authFiles(), func(f authFile) bool { return f.user == user })
}

func digestLike(was, password string) string {
	if len(was) == 2*sha1.Size {
		sum := sha1.Sum([]byte(password))
		return hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// nativePassword is MariaDB's mysql_native_password: * and the upper-case hex SHA-1 of the SHA-1.
func nativePassword(p string) string {
	one := sha1.Sum([]byte(p))
	two := sha1.Sum(one[:])
	return "*" + strings.ToUpper(hex.EncodeToString(two[:]))
}
