package install

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"goldsmith/builder/oneapi"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/text/oned"
)

const (
	oneAuthFile = "/var/lib/one/.one/one_auth"
	oneURL      = "http://127.0.0.1:2633/RPC2"
	// onedPatience: oned answers 12 to 20 s after its start, on a machine of its own.
	onedPatience = 5 * time.Minute
)

// newPassword has 26 letters and digits, 130 bits.
func newPassword() string { return rand.Text() }

// content starts oned, has it make what the recipe lists, and stops it: its files and database are then those of a front-end that
// was switched off, which is what firstboot knows how to make another one of.
func (o *oneMachine) content(ctx context.Context) error {
	conf, err := o.read(ctx, onedConf)
	if err != nil {
		return err
	}
	parsed, err := oned.Parse(conf)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", onedConf, err)
	}
	stores, err := datastoresOf(o.OpenNebula)
	if err != nil {
		return err
	}
	if err := CheckDatastores(parsed, append(stock(parsed), stores...)); err != nil {
		return err
	}
	if err := o.run(ctx, "", "", "systemctl", "--quiet", "restart", "opennebula.service"); err != nil {
		return fmt.Errorf("cannot start oned: %w", err)
	}
	auth, err := o.read(ctx, oneAuthFile)
	if err != nil {
		return fmt.Errorf("cannot find oneadmin's password: %w", err)
	}
	client := &oneapi.Client{URL: oneURL, Session: strings.TrimSpace(string(auth)), HTTP: &http.Client{Timeout: time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return o.in.Dial(ctx, network, "127.0.0.1:2633")
		}}}}
	up, cancel := context.WithTimeout(ctx, onedPatience)
	defer cancel()
	version, err := client.Wait(up)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(version, o.Release+".") {
		return fmt.Errorf("oned is release %s, the recipe says %s", version, o.Release)
	}
	if err := fill(ctx, client, o.OpenNebula, stores, o.log); err != nil {
		return err
	}
	return o.run(ctx, "", "", "systemctl", "--quiet", "stop", "opennebula.service")
}

func (o *oneMachine) read(ctx context.Context, name string) (data []byte, err error) {
	err = o.in.Files(ctx, func(root *tree.FS) (err error) {
		data, err = root.ReadFile(name)
		return err
	})
	return data, err
}

// stock are the datastores that oned makes by itself, with the driver of the release's own choice.
func stock(conf *oned.File) []Datastore {
	driver := "ssh" // up to 6.10
	if _, ok, err := conf.Get("TM_MAD_CONF[NAME=local]/NAME"); ok && err == nil {
		driver = "local"
	}
	return []Datastore{{Name: "system", Type: SystemStore, TMMad: driver}, {Name: "default", Type: ImageStore, DSMad: "fs", TMMad: driver},
		{Name: "files", Type: FileStore, DSMad: "fs", TMMad: driver}}
}

// fill makes everything that the recipe lists and oned does not have.
func fill(ctx context.Context, c *oneapi.Client, o recipe.OpenNebula, stores []Datastore, log io.Writer) error {
	say := func(what string, id int, outcome oneapi.Outcome, err error) error {
		if err == nil {
			_, err = fmt.Fprintf(log, "%-13s %s (id %d)\n", outcome, what, id)
		}
		return err
	}
	for _, h := range o.Hosts {
		id, outcome, err := c.EnsureHost(ctx, h, "kvm", "kvm")
		if err := say("host "+h, id, outcome, err); err != nil {
			return err
		}
	}
	for i, d := range stores {
		text, err := d.Template()
		if err != nil {
			return err
		}
		id, outcome, err := c.Ensure(ctx, oneapi.Datastores(), text)
		if err := say("datastore "+d.Name, id, outcome, err); err != nil {
			return err
		}
		if want := firstStore + i; id != want && len(o.Mounts)+len(o.Volumes) > 0 {
			return fmt.Errorf("datastore %s has id %d, but mounts and volumes take it for %d", d.Name, id, want)
		}
	}
	for _, n := range o.Networks {
		text, err := network(n).Template()
		if err != nil {
			return err
		}
		id, outcome, err := c.Ensure(ctx, oneapi.Networks(), text)
		if err := say("network "+n.Name, id, outcome, err); err != nil {
			return err
		}
	}
	return fillHooks(ctx, c, o, say)
}

func fillHooks(ctx context.Context, c *oneapi.Client, o recipe.OpenNebula, say func(string, int, oneapi.Outcome, error) error) error {
	if !o.Autostart {
		return nil
	}
	release, err := ParseRelease(o.Release)
	if err != nil {
		return err
	}
	hooks, err := AutostartHooks(release)
	for i, text := range hooks {
		id, outcome, eerr := c.Ensure(ctx, oneapi.Hooks(), text)
		err = errors.Join(err, say(fmt.Sprintf("autostart hook %d", i+1), id, outcome, eerr))
	}
	return err
}

// firstStore is the id of the first datastore that oned does not make by itself.
const firstStore = 100

// storeTypes are OpenNebula's words for the recipe's.
var storeTypes = map[string]string{"image": ImageStore, "system": SystemStore, "file": FileStore, "backup": BackupStore}

// datastoresOf lists the recipe's datastores in the order of their ids, those on Vitastor last.
func datastoresOf(o recipe.OpenNebula) ([]Datastore, error) {
	var out []Datastore
	for _, d := range o.Datastores {
		out = append(out, Datastore{Name: d.Name, Type: storeTypes[d.Type], DSMad: d.DSMad, TMMad: d.TMMad, Attrs: d.Pairs()})
	}
	if v := o.Vitastor; v != nil && v.Pool != "" {
		store := VitastorStore{Pool: v.Pool, Prefix: v.Prefix, Bridges: v.Bridges, StagingDir: v.StagingDir}
		if len(v.Confs) > 0 {
			store.Conf = v.Confs[0]
		}
		pair, err := store.Datastores()
		return append(out, pair...), err
	}
	return out, nil
}

// sharedStores tells which ids are of a driver whose disks all nodes see.
func sharedStores(o recipe.OpenNebula) map[int]bool {
	out := map[int]bool{}
	for i, d := range o.Datastores {
		out[firstStore+i] = slices.Contains([]string{"shared", "qcow2"}, d.TMMad)
	}
	return out
}

// storeMounts are the recipe's mounts, and those of its volumes.
func storeMounts(o recipe.OpenNebula) []StoreMount {
	var out []StoreMount
	for _, m := range o.Mounts {
		out = append(out, StoreMount{ID: m.Datastore, Source: m.Source, Type: m.Type, Options: m.Options})
	}
	for _, v := range o.Volumes {
		out = append(out, volumeMount(v))
	}
	return out
}

func network(n recipe.VirtualNetwork) Network {
	return Network{Name: n.Name, Driver: n.Driver, Bridge: n.Bridge, Link: n.Link, VLAN: n.VLAN, FilterIP: n.Filter, FilterMAC: n.Filter,
		First: n.First, Size: n.Size, Gateway: n.Gateway, DNS: n.DNS, Mask: n.Network}
}

func hostBridge(b recipe.HostBridge) HostBridge {
	return HostBridge{Name: b.Name, Port: b.Port, Dynamic: b.DHCP, Address: b.Address, Gateway: b.Gateway, DNS: b.DNS}
}
