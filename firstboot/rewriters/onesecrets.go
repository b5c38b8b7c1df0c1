package rewriters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
)

// An authFile holds user:password for a service or a person.
type authFile struct{ path, user string }

// authFiles are those of the machine. serveradmin's are sunstone_auth, oneflow_auth, onegate_auth, and by release occi_auth,
// oneks_auth, oneform_auth; all hold the same password.
func (o *oneScene) authFiles() []authFile {
	paths, err := o.Host.Glob(oneAuth + "/*_auth")
	if err != nil {
		return nil
	}
	var out []authFile
	for _, p := range append(paths, "/root/.one/one_auth") {
		data, err := o.Host.ReadFile(p)
		if err != nil {
			continue
		}
		if user, _, ok := strings.Cut(string(data), ":"); ok && (user == "oneadmin" || user == "serveradmin") {
			out = append(out, authFile{p, user})
		}
	}
	return out
}

func (o *oneScene) onePassword(user string) string { return o.Secret("opennebula/"+user, 32) }

var onePrivate = plan.Meta{Mode: 0o600, Owner: "oneadmin", Group: "oneadmin"}

// files proposes the files below ~oneadmin/.one. Without a database they stay: oned, starting for the first time, takes
// oneadmin's password from one_auth.
func (o *oneScene) files(ctx context.Context) error {
	var errs []error
	for _, f := range o.authFiles() {
		if o.Rekeys("opennebula/" + f.user) {
			errs = append(errs, o.SecretFile(f.path, []byte(f.user+":"+o.onePassword(f.user)+"\n"), onePrivate, "the clone's own password"))
		}
	}
	if o.Rekeys("opennebula/fireedge") {
		errs = append(errs, o.file(oneAuth+"/fireedge_key", nil, plan.Meta{}, "FireEdge makes one of its own", true))
	}
	return errors.Join(append(errs, o.databaseKey(ctx))...)
}

// databaseKey removes the key that attributes are encrypted with, where none is: oned then makes one of its own.
func (o *oneScene) databaseKey(ctx context.Context) error {
	const key = oneAuth + "/one_key"
	if _, err := o.Host.Stat(key); err != nil || !o.Rekeys("opennebula/one_key") {
		return nil
	}
	if o.schema != "" {
		found, err := o.encrypted(ctx)
		if err != nil {
			return err
		}
		if found != "" {
			o.Note(key, "kept: "+found+" is encrypted with it")
			return nil
		}
	}
	return o.file(key, nil, plan.Meta{}, "oned makes one of its own", true)
}

// encrypted names an object with an attribute that oned.conf lists in one of its *_ENCRYPTED_ATTR, "" when there is none.
func (o *oneScene) encrypted(ctx context.Context) (string, error) {
	tables := map[string]string{"VNET": "network_pool"}
	seen := map[string]bool{}
	for _, a := range o.conf.Attrs {
		kind, ok := strings.CutSuffix(a.Name, "_ENCRYPTED_ATTR")
		if !ok || a.Vector {
			continue
		}
		table := tables[kind]
		if table == "" {
			table = strings.ToLower(kind) + "_pool"
		}
		seen[table+" "+path.Base(a.Value)] = true
	}
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		table, attr, _ := strings.Cut(k, " ")
		list, err := o.table(ctx, table)
		if err != nil {
			return "", err
		}
		for _, r := range list {
			if strings.Contains(r["body"], "<"+attr+"><![CDATA[") && !strings.Contains(r["body"], "<"+attr+"><![CDATA[]]>") {
				return fmt.Sprintf("%s of %s %s", attr, table, r["oid"]), nil
			}
		}
	}
	return "", nil
}
