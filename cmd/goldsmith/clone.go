package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/builder"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

func cloneCommand() *cli.Command {
	return &cli.Command{
		Name:      "clone",
		Usage:     "make clones of a golden image on one VLAN",
		ArgsUsage: "IMAGE",
		Description: "All clones of one call are a fleet: all of them are made, or none. Without --bridge they stand in a lab, a private VLAN\n" +
			"with a DHCP server that knows nothing of them. In values of --set, {n} is the number of the clone and {name} its name.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "name", Usage: "call the fleet `NAME`, its clones NAME-1, NAME-2, ... (default: the image's name)"},
			&cli.IntFlag{Name: "count", Aliases: []string{"n"}, Usage: "make `N` clones", Value: 1},
			&cli.StringFlag{Name: "driver", Usage: "where the clones live: " + driverNames(), Value: "nspawn"},
			&cli.BoolFlag{Name: "lab", Usage: "put them into a private VLAN (the default)"},
			&cli.StringFlag{Name: "subnet", Usage: "the lab's IPv4 `CIDR`", Value: vlan.DefaultSubnet},
			&cli.IntFlag{Name: "pool", Usage: "let the lab's DHCP server give away `N` addresses at most"},
			&cli.BoolFlag{Name: "not-authoritative", Usage: "let the lab's DHCP server be silent on leases that it does not know"},
			&cli.StringFlag{Name: "bridge", Usage: "put them on `BRIDGE` of this host, behind the DHCP server there"},
			&cli.StringFlag{Name: "connect", Usage: "let the libvirtd at `URI` run them: qemu+ssh://root@HOST/system (default: LIBVIRT_DEFAULT_URI)"},
			&cli.StringFlag{Name: "storage-pool", Usage: "keep their disks in the storage pool `NAME` there", Value: "default"},
			&cli.StringFlag{Name: "oui", Usage: "first half of the MACs", Value: fleet.DefaultOUI},
			&cli.IntFlag{Name: "memory", Usage: "`MIB` of memory per clone"},
			&cli.IntFlag{Name: "cpus", Usage: "`N` CPUs per clone"},
			&cli.BoolFlag{Name: "cluster", Usage: "make each clone a controller that others can join, with a secret of its own"},
			&cli.StringFlag{Name: "join", Usage: "put them beside `CLONE`, a controller made with --cluster, and tell them its address and secret"},
			&cli.StringSliceFlag{Name: "set", Usage: "tell each clone `KEY=VALUE`: hostname, interface, prefix, phone_home, cluster, peer.NAME (an address, or a name that is looked up now)"},
			&cli.StringFlag{Name: "from-file", Usage: "tell each clone what stands in `FILE`: a JSON list of such settings, one per clone"},
			&cli.BoolFlag{Name: "phone-home", Usage: "have them report by HTTP as well, to the bridge's own address, where wait listens"},
			&cli.StringFlag{Name: "firstboot", Usage: "on, or off: leave the clones as golden as they are, to see verify fail", Value: "on"},
			&cli.BoolFlag{Name: "no-start", Usage: "make the clones but do not start them"},
			&cli.BoolFlag{Name: "wait", Usage: "wait until each clone has become itself"},
			timeoutFlag(),
		},
		Action: clone,
	}
}

func timeoutFlag() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Usage: "wait `TIME` at most", Value: 15 * time.Minute}
}

func driverNames() string {
	var names []string
	for _, d := range driver.All() {
		names = append(names, d.Name())
	}
	return strings.Join(names, ", ")
}

func clone(c *cli.Context) error {
	b, err := settledBench(c)
	if err != nil {
		return err
	}
	o, err := orderOf(c, b)
	if err != nil {
		return err
	}
	say := narrator(c)
	s, err := b.Spawn(c.Context, o, func(name string) { say("%s is made", name) })
	if err != nil {
		return err
	}
	if c.Bool("wait") && !o.Created {
		return waitFor(c, b, s.Name)
	}
	return printStandings(c, b, s.Name)
}

// orderOf turns the command line into an order.
func orderOf(c *cli.Context, b fleet.Bench) (fleet.Order, error) {
	o := fleet.Order{
		Name: c.String("name"), Count: c.Int("count"), OUI: c.String("oui"), Memory: c.Int("memory"), CPUs: c.Int("cpus"),
		Network: vlan.Network{Bridge: c.String("bridge")}, Created: c.Bool("no-start"), Phone: c.Bool("phone-home"),
	}
	if c.NArg() != 1 {
		return o, report.Faultf(report.Usage, "cannot clone: want one image, got %d", c.NArg()).WithHint("goldsmith clone IMAGE -n 3 --name demo")
	}
	var err error
	if o.Image, err = b.Image(c.Args().First()); err != nil {
		return o, err
	}
	if o.Name == "" {
		o.Name = o.Image.Name
	}
	d, ok := driver.ByName(c.String("driver"))
	if !ok {
		return o, report.Faultf(report.Usage, "cannot use the driver %q: there are %s", c.String("driver"), driverNames()).
			WithHint("--driver nspawn")
	}
	o.Driver = d
	if err := needTree(c, &o); err != nil {
		return o, err
	}
	if err := errors.Join(chooseHost(c, &o), chooseNetwork(c, &o), chooseFirstboot(c, &o)); err != nil {
		return o, err
	}
	if o.Claims, err = claims(c, o); err != nil {
		return o, err
	}
	err = chooseCluster(c, b, &o)
	return o, err
}

// chooseCluster makes controllers, or computes of one.
func chooseCluster(c *cli.Context, b fleet.Bench, o *fleet.Order) error {
	switch join := c.String("join"); {
	case join != "" && (c.Bool("lab") || c.String("bridge") != "" || c.Bool("cluster")):
		return report.Faultf(report.Usage, "cannot use --join together with --lab, --bridge or --cluster: the network and the cluster are those of %s", join)
	case join != "":
		return b.Join(c.Context, o, join)
	case c.Bool("cluster"):
		o.Found()
	}
	return nil
}

// needTree unpacks an image that is only a disk for a driver that runs trees.
func needTree(c *cli.Context, o *fleet.Order) error {
	if o.Driver.Name() != (driver.Nspawn{}).Name() || o.Image.Root != "" || o.Image.Disk == "" {
		return nil
	}
	dir, err := home(c)
	if err != nil {
		return err
	}
	h, err := builder.OpenHome(dir)
	if err != nil {
		return err
	}
	say := narrator(c)
	o.Image.Root, err = h.Unpack(c.Context, o.Image.Disk, func(what string) { say("waiting for %s", what) })
	return err
}

// chooseHost says which libvirtd runs the clones, for the driver that asks one.
func chooseHost(c *cli.Context, o *fleet.Order) (err error) {
	if !o.Driver.Capabilities().Hosts {
		if c.IsSet("connect") || c.IsSet("storage-pool") {
			return report.Faultf(report.Usage, "cannot use --connect or --storage-pool: %s runs clones on this host only", o.Driver.Name()).
				WithHint("--driver libvirt")
		}
		return nil
	}
	if o.Connect, err = driver.LibvirtURI(c.String("connect")); err == nil && driver.IsRemote(o.Connect) {
		o.Network.Host, o.Pool = o.Connect, c.String("storage-pool")
	}
	return err
}

func chooseNetwork(c *cli.Context, o *fleet.Order) error {
	if c.String("bridge") != "" {
		if c.Bool("lab") {
			return report.Faultf(report.Usage, "cannot use --lab and --bridge together")
		}
		return nil
	}
	subnet, err := netip.ParsePrefix(c.String("subnet"))
	if err != nil {
		return report.Faultf(report.Usage, "cannot read the subnet %q: %w", c.String("subnet"), err).WithHint("--subnet %s", vlan.DefaultSubnet)
	}
	o.Lab = vlan.NewLab(o.Name, subnet, "")
	o.Lab.Pool, o.Lab.Authoritative = c.Int("pool"), !c.Bool("not-authoritative")
	return nil
}

func chooseFirstboot(c *cli.Context, o *fleet.Order) error {
	how := c.String("firstboot")
	o.Off = how == "off"
	switch {
	case how != "on" && how != "off":
		return report.Faultf(report.Usage, "cannot read --firstboot %q: want on or off", how)
	case o.Off && c.Bool("wait"):
		return report.Faultf(report.Usage, "cannot wait for clones whose firstboot is off: they will not report").WithHint("goldsmith verify %s", o.Name)
	}
	return nil
}

// claims returns what each clone is told, from --from-file and then --set; nothing where neither is given.
func claims(c *cli.Context, o fleet.Order) ([]identity.Claim, error) {
	var out []identity.Claim
	if file := c.String("from-file"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot read the settings: %w", err)
		}
		if err := strict(b, &out); err != nil {
			return nil, report.Faultf(report.Usage, "cannot read the settings in %s: %w", file, err).
				WithHint(`want [{"hostname": "a"}, {"hostname": "b"}]`)
		}
	} else if len(c.StringSlice("set")) > 0 {
		out = make([]identity.Claim, o.Count)
	}
	for i := range out {
		if err := set(c.Context, &out[i], c.StringSlice("set"), i+1, o.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// set applies settings to one claim. The keys are those of the claim's JSON.
func set(ctx context.Context, claim *identity.Claim, settings []string, n int, name string) error {
	values := map[string]string{}
	fill := strings.NewReplacer("{n}", strconv.Itoa(n), "{name}", fmt.Sprintf("%s-%d", name, n))
	for _, kv := range settings {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return report.Faultf(report.Usage, "cannot read the setting %q: want KEY=VALUE", kv).WithHint("--set prefix=t{n}-")
		}
		value = fill.Replace(value)
		if peer, ok := strings.CutPrefix(key, "peer."); ok {
			if err := setPeer(ctx, claim, peer, value); err != nil {
				return err
			}
			continue
		}
		values[key] = value
	}
	b, err := json.Marshal(values)
	if err == nil {
		err = strict(b, claim)
	}
	if err == nil && claim.Cluster != "" {
		err = identity.CheckSecret(claim.Cluster)
	}
	if err != nil {
		return report.Faultf(report.Usage, "cannot set %s: %w", strings.Join(slices.Sorted(maps.Keys(values)), ", "), err).
			WithHint("keys are hostname, interface, prefix, phone_home, cluster, peer.NAME")
	}
	return nil
}

// setPeer adds another node of the cluster. A name is looked up here and now: the clone may not know the resolver that does.
func setPeer(ctx context.Context, claim *identity.Claim, peer, value string) error {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		var found []netip.Addr
		if found, err = net.DefaultResolver.LookupNetIP(ctx, "ip4", value); err != nil {
			return report.Faultf(report.Usage, "cannot set peer.%s: %w", peer, err).WithHint("--set peer.%s=ADDRESS", peer)
		}
		addr = found[0].Unmap()
	}
	if claim.Peers == nil {
		claim.Peers = map[string]netip.Addr{}
	}
	claim.Peers[peer] = addr
	return nil
}

// strict decodes JSON and refuses keys that nobody would read.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
