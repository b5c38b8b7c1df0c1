package oneapi

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text/oned"
)

// A Kind is a class of objects that can be made by name.
type Kind struct {
	name     string // as in one.<name>.allocate
	pool     string // as in one.<pool>.info
	poolArgs []any  // filter and range: all objects of all users
	cluster  bool   // allocate takes a cluster id, -1 for the default one
}

// Datastores are made from one template that holds NAME, as are the other kinds.
func Datastores() Kind { return Kind{name: "datastore", pool: "datastorepool", cluster: true} }

// Networks are virtual networks.
func Networks() Kind {
	return Kind{name: "vn", pool: "vnpool", poolArgs: []any{-2, -1, -1}, cluster: true}
}

// Hooks are commands that oned runs on state changes (since 5.10).
func Hooks() Kind { return Kind{name: "hook", pool: "hookpool", poolArgs: []any{-2, -1, -1}} }

// An Object is one member of a pool.
type Object struct {
	ID       int
	Name     string
	Template map[string]string // single values of its TEMPLATE
}

type poolXML struct {
	Members []struct {
		ID       int    `xml:"ID"`
		Name     string `xml:"NAME"`
		Template struct {
			Values []struct {
				XMLName  xml.Name
				Text     string     `xml:",chardata"`
				Children []xml.Name `xml:",any"`
			} `xml:",any"`
		} `xml:"TEMPLATE"`
	} `xml:",any"`
}

// List returns the members of a pool.
func (c *Client) List(ctx context.Context, k Kind) ([]Object, error) {
	return c.list(ctx, "one."+k.pool+".info", k.poolArgs...)
}

func (c *Client) list(ctx context.Context, method string, args ...any) ([]Object, error) {
	v, err := c.Call(ctx, method, args...)
	if err != nil {
		return nil, err
	}
	body, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("cannot read the answer of %s: it is a %T", method, v)
	}
	var pool poolXML
	if err := xml.Unmarshal([]byte(body), &pool); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", method, err)
	}
	var out []Object
	for _, m := range pool.Members {
		o := Object{ID: m.ID, Name: m.Name, Template: map[string]string{}}
		for _, t := range m.Template.Values {
			if len(t.Children) == 0 {
				o.Template[t.XMLName.Local] = t.Text
			}
		}
		out = append(out, o)
	}
	return out, nil
}

// An Outcome says what an Ensure call found and did.
type Outcome string

// The three outcomes.
const (
	Made      Outcome = "made"
	Updated   Outcome = "updated"
	Unchanged Outcome = "there already"
)

// Ensure makes the object that template describes unless one of that NAME is there; one that is there gets the single values
// of the template that differ, merged into its own. Vectors of an existing object (AR, TOPOLOGY) are left alone, as are NAME and
// TYPE, which oned takes only at birth.
func (c *Client) Ensure(ctx context.Context, k Kind, template string) (int, Outcome, error) {
	f, err := oned.Parse([]byte(template))
	if err != nil {
		return 0, "", fmt.Errorf("cannot read the template of a %s: %w", k.name, err)
	}
	name, ok, err := f.Get("NAME")
	if err != nil || !ok {
		return 0, "", fmt.Errorf("cannot make a %s: its template has no NAME", k.name)
	}
	all, err := c.List(ctx, k)
	if err != nil {
		return 0, "", err
	}
	i := slices.IndexFunc(all, func(o Object) bool { return o.Name == name })
	if i < 0 {
		args := []any{template}
		if k.cluster {
			args = append(args, -1)
		}
		id, err := c.id(ctx, "one."+k.name+".allocate", args...)
		return id, Made, err
	}
	diff := difference(f, all[i].Template)
	if diff == "" {
		return all[i].ID, Unchanged, nil
	}
	return all[i].ID, Updated, c.Merge(ctx, k.name, all[i].ID, diff)
}

// difference is the template text of the single values that differ. Case does not matter to oned in the words of its own
// (TYPE, DISK_TYPE: "file" is kept as "FILE").
func difference(f *oned.File, have map[string]string) string {
	var b strings.Builder
	for _, a := range f.Attrs {
		if a.Vector || a.Name == "NAME" || a.Name == "TYPE" || have[a.Name] == a.Value {
			continue
		}
		if a.Name == "DISK_TYPE" && strings.EqualFold(have[a.Name], a.Value) {
			continue
		}
		fmt.Fprintf(&b, "%s=\"%s\"\n", a.Name, strings.ReplaceAll(a.Value, `"`, `\"`))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Merge merges a template into an object's own: one.datastore.update, one.zone.update, one.vn.update ...
func (c *Client) Merge(ctx context.Context, kind string, id int, template string) error {
	_, err := c.id(ctx, "one."+kind+".update", id, template, 1)
	return err
}

// EnsureHost adds a host with the given drivers (kvm, kvm) unless one of that name is there.
func (c *Client) EnsureHost(ctx context.Context, name, im, vm string) (int, Outcome, error) {
	if len(name) < 2 || len(name) > 63 {
		return 0, "", fmt.Errorf("cannot add host %q: oned takes names of 2 to 63 characters", name)
	}
	all, err := c.list(ctx, "one.hostpool.info")
	if err != nil {
		return 0, "", err
	}
	for _, o := range all {
		if o.Name == name {
			return o.ID, Unchanged, nil
		}
	}
	id, err := c.id(ctx, "one.host.allocate", name, im, vm, -1)
	return id, Made, err
}

// RenameHost changes a host's name, in the history of its VMs too. The name is what oned connects to by SSH.
func (c *Client) RenameHost(ctx context.Context, id int, name string) error {
	_, err := c.id(ctx, "one.host.rename", id, name)
	return err
}

// ReplaceRange removes an address range of a network and adds another one. oned refuses it while a lease is out, and
// silently keeps the MAC of a range that is only updated.
func (c *Client) ReplaceRange(ctx context.Context, vnet, ar int, template string) error {
	if _, err := c.id(ctx, "one.vn.rm_ar", vnet, ar, false); err != nil {
		return err
	}
	_, err := c.id(ctx, "one.vn.add_ar", vnet, template)
	return err
}

// Password sets a user's password as oned stores it. For a core user oned hashes it; for serveradmin (server_cipher) it stores
// what it gets, which must be the hex SHA-256.
func (c *Client) Password(ctx context.Context, user int, password string) error {
	_, err := c.id(ctx, "one.user.passwd", user, password)
	return err
}

// id makes a call whose value is an object's id.
func (c *Client) id(ctx context.Context, method string, args ...any) (int, error) {
	v, err := c.Call(ctx, method, args...)
	if err != nil {
		return 0, err
	}
	n, ok := v.(int)
	if !ok {
		return 0, fmt.Errorf("cannot read the answer of %s: it is a %T", method, v)
	}
	return n, nil
}
