package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/discover"
	"goldsmith/fleet/vlan"
)

func discoverCommand() *cli.Command {
	return &cli.Command{
		Name:      "discover",
		Usage:     "find out which MAC has which address on a VLAN",
		ArgsUsage: "[FLEET]",
		Description: "Asks every address of the subnet by ARP. With --listen it sends nothing and hears ARP and DHCP for a while. Machines nested\n" +
			"in a clone are found too, where they are on the same VLAN: --mac takes the MAC that the cloud gave them.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "bridge", Usage: "look on `BRIDGE` (or any link) of this host instead of a fleet's network"},
			&cli.StringFlag{Name: "subnet", Usage: "ask the addresses of `CIDR` (default: the subnet of the bridge's address)"},
			&cli.StringSliceFlag{Name: "mac", Usage: "only `MAC`; exit 5 where it is not found"},
			&cli.DurationFlag{Name: "listen", Usage: "send nothing, listen for `TIME`"},
		},
		Action: discoverHosts,
	}
}

// A sighting is a host with the name of the clone that has its MAC.
type sighting struct {
	discover.Host
	Clone string `json:"clone,omitempty"`
}

func discoverHosts(c *cli.Context) error {
	b, err := settledBench(c)
	if err != nil {
		return err
	}
	n, err := networkOf(c, b)
	if err != nil {
		return err
	}
	begin := time.Now()
	hosts, err := seek(c, n)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	list, missing := pick(withNames(hosts, b), c.StringSlice("mac"))
	if err := writeSightings(c, list, took); err != nil {
		return err
	}
	if len(missing) > 0 {
		return report.Faultf(report.Unverified, "cannot find %s on %s", strings.Join(missing, ", "), n.Bridge).
			WithHint("--listen 60s hears a machine that does not answer")
	}
	return nil
}

func networkOf(c *cli.Context, b fleet.Bench) (vlan.Network, error) {
	if bridge := c.String("bridge"); bridge != "" {
		return vlan.Network{Bridge: bridge}, nil
	}
	if c.NArg() != 1 {
		return vlan.Network{}, report.Faultf(report.Usage, "cannot discover: want the name of a fleet, or --bridge").WithHint("goldsmith list")
	}
	s, _, err := b.Find(c.Args().First())
	if err != nil {
		return vlan.Network{}, err
	}
	return s.Network, nil
}

// seek sweeps, or listens.
func seek(c *cli.Context, n vlan.Network) ([]discover.Host, error) {
	listen := c.Duration("listen")
	w, err := discover.Open(n, listen > 0)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if listen > 0 {
		ctx, cancel := context.WithTimeout(c.Context, listen)
		defer cancel()
		var out []discover.Host
		err := w.Listen(ctx, func(h discover.Host) { out = append(out, h) })
		return out, err
	}
	subnet, err := subnetOf(c, n)
	if err != nil {
		return nil, err
	}
	return w.Sweep(c.Context, subnet)
}

func subnetOf(c *cli.Context, n vlan.Network) (netip.Prefix, error) {
	if text := c.String("subnet"); text != "" {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			err = report.Faultf(report.Usage, "cannot read the subnet %q: %w", text, err).WithHint("--subnet %s", vlan.DefaultSubnet)
		}
		return p, err
	}
	p, err := discover.Subnet(n)
	if err == nil && !p.IsValid() {
		err = report.Faultf(report.Usage, "cannot sweep %s: it has no address that would tell the subnet", n.Bridge).
			WithHint("--subnet %s", vlan.DefaultSubnet)
	}
	return p, err
}

// withNames adds the names of clones. A bench that cannot be read has none: the wire is what was asked for.
func withNames(hosts []discover.Host, b fleet.Bench) []sighting {
	names := map[string]string{}
	fleets, _ := b.Fleets()
	for _, s := range fleets {
		for _, cl := range s.Clones {
			names[cl.MAC] = cl.Name
		}
	}
	out := []sighting{}
	for _, h := range hosts {
		out = append(out, sighting{h, names[h.MAC]})
	}
	return out
}

// pick keeps the wanted MACs, or all where none is wanted, and says which were not there.
func pick(all []sighting, wanted []string) (list []sighting, missing []string) {
	if len(wanted) == 0 {
		return all, nil
	}
	list = []sighting{}
	for _, mac := range wanted {
		before := len(list)
		for _, s := range all {
			if strings.EqualFold(s.MAC, mac) {
				list = append(list, s)
			}
		}
		if len(list) == before {
			missing = append(missing, mac)
		}
	}
	return list, missing
}

func writeSightings(c *cli.Context, list []sighting, took time.Duration) error {
	if c.Bool("json") {
		return writeJSON(c.App.Writer, list)
	}
	rows := [][]string{{"MAC", "IP", "BY", "CLONE"}}
	for _, s := range list {
		rows = append(rows, []string{s.MAC, address(s.Address), s.By, orDash(s.Clone)})
	}
	if err := writeTable(c.App.Writer, rows); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "%d found in %.2f s\n", len(list), took.Seconds())
	return nil
}
