// Package adopt makes a golden image of a machine that somebody made by hand: it looks inside, derives who the machine
// was, and writes that down as an imprint; package implant puts firstboot in and package seal makes it forget.
//
// Nothing is guessed. What the files do not say, or say in two ways, is an Unknown with the flag that answers it, and all
// of them come at once: a wrong imprint would let clones keep the golden identity in silence.
package adopt

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/inspect"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/text/hosts"
)

// Answers are what the user says about a machine; the zero value of each field means that the machine shall say it.
type Answers struct {
	Hostname  string         // "name" or "name.domain"
	Address   string         // of the public face, or None
	Interface string         // that carries the public face
	NICs      []identity.NIC // the names of NICs by their MACs
	Stacks    []string       // names of rewriters, beside those whose files are found
	Leave     []string       // stacks that are found, that no rewriter knows, and that shall be cloned as they are
}

// None answers that the machine has no address of its own in it.
const None = "none"

// A Draft is an identity with the reasons for it.
type Draft struct {
	Baked  identity.Identity `json:"baked"`
	Stacks []string          `json:"stacks"`
	Why    []Reason          `json:"why"`
	Notes  []string          `json:"notes,omitempty"` // what is odd, and does no harm
}

// A Reason says where a value was found.
type Reason struct {
	What  string `json:"what"`
	Value string `json:"value"`
	Where string `json:"where"`
}

// A deriver collects the draft and what stands in its way.
type deriver struct {
	root    *tree.FS
	machine inspect.Machine
	found   *survey
	said    Answers
	owners  []inspect.Owner
	draft   Draft
	unknown []error
}

// Derive finds out who the machine in a tree was. Owners are all rewriters, with their files. The error holds every unknown; its code is report.Refused.
func Derive(root *tree.FS, m inspect.Machine, said Answers, owners []inspect.Owner) (Draft, error) {
	if m.Imprint != nil {
		return Draft{}, report.Faultf(report.Refused, "cannot adopt: this is a golden image already, called %s", m.Imprint.Image).
			WithHint("clone it: goldsmith clone IMAGE -n 3")
	}
	d := &deriver{root: root, machine: m, found: look(root), said: said, owners: owners}
	for _, step := range []func(){d.obstacles, d.readable, d.hostname, d.nics, d.face, d.address, d.machineID, d.nested, d.stacks} {
		step()
	}
	return d.draft, errors.Join(d.unknown...)
}

// ask notes what cannot be told, and how to tell it.
func (d *deriver) ask(hint, format string, args ...any) {
	d.unknown = append(d.unknown, report.Faultf(report.Refused, "cannot adopt: "+format, args...).WithHint("%s", hint))
}

func (d *deriver) because(what, value, where string) {
	d.draft.Why = append(d.draft.Why, Reason{what, value, where})
}

// obstacles refuses what must not be cloned, whatever the user says.
func (d *deriver) obstacles() {
	for _, o := range d.machine.Obstacles {
		d.ask(o.Hint, "%s: %s", o.By, o.Why)
	}
}

// readable passes on what could not be read: an address may hide in it.
func (d *deriver) readable() {
	for _, err := range d.found.unread {
		d.ask("repair or remove the file in the machine, and export it again", "%w", err)
	}
}

// label is a host name's label (RFC 1123).
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// hostname takes the static host name; a domain that only /etc/hosts knows belongs to it.
func (d *deriver) hostname() {
	name, where := d.said.Hostname, "--hostname"
	if name == "" {
		name, where = d.machine.Hostname, "/etc/hostname"
		if !d.root.Exists("etc/hostname") {
			where = "/etc/sysconfig/network"
		}
	}
	short, domain, _ := strings.Cut(strings.TrimSuffix(name, "."), ".")
	switch {
	case short == "" || short == "localhost":
		d.ask("--hostname NAME", "the host name of the machine is unknown: %s says %q", where, name)
		return
	case !label.MatchString(short):
		d.ask("--hostname NAME", "%q, from %s, is no host name", name, where)
		return
	}
	if domain == "" {
		domain = d.domain(short)
	}
	d.draft.Baked.Hostname, d.draft.Baked.Domain = short, domain
	d.because("host name", d.draft.Baked.FQDN(), where)
}

// domain looks for the qualified name in /etc/hosts.
func (d *deriver) domain(short string) string {
	data, err := d.root.ReadFile("etc/hosts")
	if err != nil {
		return ""
	}
	for _, e := range hosts.Parse(data) {
		for _, n := range e.Names {
			if domain, ok := strings.CutPrefix(strings.ToLower(n), strings.ToLower(short)+"."); ok && !strings.HasPrefix(domain, "local") {
				return domain
			}
		}
	}
	return ""
}

// nics lists the hardware with the MACs that the configuration binds to it. A MAC that belongs to nobody is an unknown:
// some file would keep it on every clone.
func (d *deriver) nics() {
	loose := slices.Clone(d.found.loose)
	list := d.found.hardware()
	if len(list) == 1 && len(list[0].macs) == 0 && len(loose) == 1 {
		list[0].macs, loose = loose, nil
	}
	for _, n := range d.said.NICs {
		d.draft.Baked.NICs = append(d.draft.Baked.NICs, n)
		d.because("NIC", n.Name+" "+n.MAC, "--nic")
	}
	for _, l := range list {
		if !d.knows(func(n identity.NIC) bool { return n.Name == l.name }) {
			d.nic(l)
		}
	}
	for _, m := range loose {
		if !d.knows(func(n identity.NIC) bool { return n.MAC == m.value }) {
			d.ask("--nic NAME="+m.value, "the MAC %s in %s belongs to no NIC that is named anywhere", m.value, m.where)
		}
	}
	slices.SortFunc(d.draft.Baked.NICs, func(a, b identity.NIC) int { return strings.Compare(a.Name, b.Name) })
}

func (d *deriver) knows(is func(identity.NIC) bool) bool {
	return slices.ContainsFunc(d.draft.Baked.NICs, is)
}

// nic takes one NIC. An empty MAC means that no file has it, so that nothing need be rewritten.
func (d *deriver) nic(l *link) {
	switch len(l.macs) {
	case 0:
		d.draft.Baked.NICs = append(d.draft.Baked.NICs, identity.NIC{Name: l.name})
		d.because("NIC", l.name+", its MAC stands nowhere", "the network's configuration")
	case 1:
		d.draft.Baked.NICs = append(d.draft.Baked.NICs, identity.NIC{Name: l.name, MAC: l.macs[0].value})
		d.because("NIC", l.name+" "+l.macs[0].value, l.macs[0].where)
	default:
		d.ask("--nic "+l.name+"="+l.macs[0].value, "the NIC %s has several MACs: %s", l.name, listed(l.macs))
	}
}

func listed(list []evidence) string {
	var out []string
	for _, e := range list {
		out = append(out, e.String())
	}
	return strings.Join(out, ", ")
}

// face finds the link that carries the public face: br-ex where there is one, else the one with a gateway, else the only
// one that is configured.
func (d *deriver) face() {
	if d.said.Interface != "" {
		d.draft.Baked.Interface = d.said.Interface
		d.because("public interface", d.said.Interface, "--interface")
		return
	}
	faces := d.found.faces()
	if len(faces) > 1 {
		var names []string
		for _, l := range faces {
			names = append(names, l.name)
		}
		d.ask("--interface "+names[0], "it is unknown which interface carries the public face: %s are configured", strings.Join(names, ", "))
		return
	}
	if len(faces) == 1 && !faces[0].pattern() {
		d.draft.Baked.Interface = faces[0].name
		d.because("public interface", faces[0].name, "the network's configuration")
	}
}

// faces lists the links that may carry the public face.
func (s *survey) faces() []*link {
	if l := s.links["br-ex"]; l != nil {
		return []*link{l}
	}
	var configured, gates []*link
	for _, l := range s.sorted() {
		if l.master != "" || !l.dhcp && len(l.addrs) == 0 {
			continue
		}
		configured = append(configured, l)
		if l.gateway {
			gates = append(gates, l)
		}
	}
	if len(gates) == 1 {
		return gates
	}
	return configured
}

// address finds the address of the public face: what is configured or was lent there, what /etc/hosts gives the host
// name, and where both are silent what the stacks call their own.
func (d *deriver) address() {
	if d.said.Address != "" {
		d.told()
		return
	}
	list := d.faceAddresses()
	for _, e := range d.hostsAddresses() {
		list = addAddress(list, e)
	}
	if len(family4(list)) == 0 {
		list = append(list, d.found.stackAddresses()...)
	}
	v4 := family4(list)
	switch {
	case len(v4) == 1:
		d.take(v4[0])
	case len(v4) > 1:
		d.ask("--address "+plainAddress(v4[0].value), "the machine's address is unknown, it has several: %s", listed(v4))
	case len(d.machine.Stacks) > 0:
		d.ask("--address ADDRESS, or --address none if it stands nowhere in the machine",
			"the machine's address is unknown: there is no static one, no lease, none in /etc/hosts, and none in the stacks' own files")
	default:
		d.draft.Notes = append(d.draft.Notes, "no address of the machine stands in it")
	}
	for _, e := range list {
		if a, _ := addressOf(e.value); a.Is6() && !d.draft.Baked.Address6.IsValid() {
			d.draft.Baked.Address6 = a
			d.because("IPv6 address", a.String(), e.where)
		}
	}
}

// told takes the answer.
func (d *deriver) told() {
	if d.said.Address == None {
		d.because("address", "stands nowhere", "--address")
		return
	}
	d.take(evidence{d.said.Address, "--address"})
}

func (d *deriver) take(e evidence) {
	a, ok := addressOf(e.value)
	if !ok {
		d.ask("--address 192.0.2.1", "%q is no address", e.value)
		return
	}
	d.draft.Baked.Address = a
	if p, err := netip.ParsePrefix(e.value); err == nil {
		d.draft.Baked.PrefixLen = p.Bits()
	}
	d.because("address", e.value, e.where)
}

// faceAddresses are those of the public interface, or of every pattern that may match it.
func (d *deriver) faceAddresses() []evidence {
	var out []evidence
	for _, l := range d.found.sorted() {
		onFace := l.name == d.draft.Baked.Interface || d.draft.Baked.Interface == "" || l.master == d.draft.Baked.Interface
		if !onFace {
			continue
		}
		for _, e := range l.addrs {
			out = addAddress(out, e)
		}
	}
	return out
}

// hostsAddresses are those that /etc/hosts gives the machine's name.
func (d *deriver) hostsAddresses() []evidence {
	data, err := d.root.ReadFile("etc/hosts")
	if err != nil {
		return nil
	}
	var l link
	for _, e := range hosts.Parse(data) {
		if slices.ContainsFunc(e.Names, d.ownName) {
			l.addr(e.Addr.String(), "/etc/hosts")
		}
	}
	return l.addrs
}

func (d *deriver) ownName(n string) bool {
	return d.draft.Baked.Hostname != "" && (strings.EqualFold(n, d.draft.Baked.Hostname) || strings.EqualFold(n, d.draft.Baked.FQDN()))
}

// addAddress adds an address unless it is there. One with a prefix says more than one without.
func addAddress(list []evidence, e evidence) []evidence {
	for i, o := range list {
		if plainAddress(o.value) == plainAddress(e.value) {
			if !strings.Contains(o.value, "/") {
				list[i] = e
			}
			return list
		}
	}
	return append(list, e)
}

func plainAddress(s string) string {
	a, _, _ := strings.Cut(s, "/")
	return a
}

func family4(list []evidence) []evidence {
	var out []evidence
	for _, e := range list {
		if a, ok := addressOf(e.value); ok && a.Is4() {
			out = addAddress(out, e)
		}
	}
	return out
}

// machineID takes the id unless it is one that no machine has.
func (d *deriver) machineID() {
	data, err := d.root.ReadFile("etc/machine-id")
	id := strings.TrimSpace(string(data))
	if err == nil && len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" {
		d.draft.Baked.MachineID = id
		d.because("machine id", id, "/etc/machine-id")
	}
}

// nested takes the prefix of the MACs that neutron gives to the machine's own VMs.
func (d *deriver) nested() {
	d.found.each("etc/neutron/neutron.conf", func(file string, data []byte) {
		d.draft.Baked.BaseMAC, _ = "fa:16:3e:00:00:00", file // neutron's default
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "base_mac" {
				d.draft.Baked.BaseMAC = strings.TrimSpace(value)
			}
		}
	})
}

// needNoRewriter are findings of inspect that are no stack of their own, or that base rewriters serve.
var needNoRewriter = []string{"packstack", "openvswitch", "libvirt", "vdsm"}

// servedBy are findings that a stack's own rewriter serves: the engine's database is rewritten with the engine.
var servedBy = map[string]string{"postgresql": "ovirt"}

// stacks lists the rewriters whose files are in the machine. What was recognised and has no rewriter is an unknown.
func (d *deriver) stacks() {
	var names []string
	for _, o := range d.owners {
		found := slices.ContainsFunc(d.machine.Owns, func(w inspect.Owned) bool { return w.By == o.Name }) ||
			slices.ContainsFunc(d.machine.Stacks, func(f inspect.Finding) bool { return f.Name == o.Name })
		if !o.Base && (found || slices.Contains(d.said.Stacks, o.Name)) {
			names = append(names, o.Name)
		}
	}
	d.draft.Stacks = append([]string{}, names...)
	for _, s := range d.said.Stacks {
		if !slices.Contains(names, s) {
			d.ask("firstboot list", "no rewriter is called %s", s)
		}
	}
	for _, f := range d.machine.Stacks {
		switch {
		case slices.Contains(names, f.Name) || slices.Contains(needNoRewriter, f.Name) || slices.Contains(names, servedBy[f.Name]):
		case slices.Contains(d.said.Leave, f.Name):
			d.draft.Notes = append(d.draft.Notes, fmt.Sprintf("%s (%s) is cloned as it is", f.Name, f.By))
		default:
			d.ask("--leave "+f.Name+", if its clones may share all that it knows",
				"%s is in the machine (%s), and firstboot does not know how to make its clones differ", f.Name, f.By)
		}
	}
}
