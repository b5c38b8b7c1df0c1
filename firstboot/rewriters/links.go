package rewriters

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
)

// renames returns what the NICs of every earlier self are called on this machine. A name that this machine has is never
// renamed, so that a plan made half-way wants the same. The error says which names have no answer; it matters only to
// who meets such a name.
func (s *Scene) renames() (map[string]string, error) {
	if len(s.To.NICs) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, old := range s.Old {
		m, _ := identity.Renames(old.NICs, s.To.NICs, s.publicNIC(old), s.publicNIC(s.To))
		maps.Copy(all, m)
	}
	m, err := identity.Renames(s.From.NICs, s.To.NICs, s.publicNIC(s.From), s.publicNIC(s.To))
	maps.Copy(all, m)
	return all, err
}

// publicNIC returns the NIC that carries the public face of an identity, or "" where that is not known.
func (s *Scene) publicNIC(old identity.Identity) string {
	for _, name := range []string{old.Interface, s.Policy.PublicInterface} {
		if slices.ContainsFunc(old.NICs, func(n identity.NIC) bool { return n.Name == name }) {
			return name
		}
	}
	if len(old.NICs) == 1 {
		return old.NICs[0].Name
	}
	return ""
}

// Link follows the name of a NIC, with a VLAN or alias behind it (ens192.100, eth0:1). Other names stay.
func Link(s *Scene, was string) (string, error) {
	base, rest := was, ""
	if i := strings.IndexAny(was, ".:"); i > 0 {
		base, rest = was[:i], was[i:]
	}
	if !s.Old.NIC(base) || s.hasNIC(base) {
		return was, nil
	}
	m, err := s.renames()
	if to := m[base]; to != "" {
		return to + rest, nil
	}
	return was, errors.Join(err, fmt.Errorf("%s was a NIC of the golden machine, and it is not known what it is here", base))
}

func (s *Scene) hasNIC(name string) bool {
	return slices.ContainsFunc(s.To.NICs, func(n identity.NIC) bool { return n.Name == name })
}

// NIC tells whether name was a NIC of this disk.
func (o Old) NIC(name string) bool {
	return slices.ContainsFunc(o, func(id identity.Identity) bool {
		return slices.ContainsFunc(id.NICs, func(n identity.NIC) bool { return n.Name == name })
	})
}

// LinkMAC follows the MAC of a NIC: the one that takes the place of the NIC that had it. Keywords and foreign MACs stay.
func LinkMAC(s *Scene, was string) (string, error) {
	if !s.Old.MAC(was) || len(s.To.NICs) == 0 {
		return was, nil
	}
	for _, n := range s.To.NICs {
		if SameMAC(n.MAC, was) {
			return was, nil
		}
	}
	name, err := Link(s, s.Old.wearer(was))
	if err != nil {
		return was, err
	}
	for _, n := range s.To.NICs {
		if n.Name == name {
			return n.MAC, nil
		}
	}
	return was, fmt.Errorf("no NIC takes the place of the one with MAC %s", was)
}

// wearer returns the NIC that had a MAC last.
func (o Old) wearer(mac string) string {
	for _, id := range slices.Backward(o) {
		for _, n := range id.NICs {
			if SameMAC(n.MAC, mac) {
				return n.Name
			}
		}
	}
	return ""
}

// macList follows every MAC in a list, whatever stands between its elements.
func macList(s *Scene, was string) (string, error) { return eachWord(s, was, LinkMAC) }

// linkList follows every name of a NIC in a list. Patterns stay.
func linkList(s *Scene, was string) (string, error) { return eachWord(s, was, Link) }

// eachWord applies a rule to the words of a list, and keeps what separates them. NetworkManager writes kinds before them:
// "mac:52:54:00:00:00:01;interface-name:ens192".
func eachWord(s *Scene, list string, rule Rule) (string, error) {
	var out strings.Builder
	for list != "" {
		end := strings.IndexAny(list, " \t,;")
		if end < 0 {
			end = len(list)
		}
		word, kind := list[:end], ""
		for _, k := range []string{"except:", "mac:", "interface-name:", "="} {
			if rest, ok := strings.CutPrefix(word, k); ok {
				word, kind = rest, kind+k
			}
		}
		want, err := rule(s, word)
		if err != nil {
			return "", err
		}
		out.WriteString(kind + want)
		if end < len(list) {
			out.WriteByte(list[end])
			end++
		}
		list = list[end:]
	}
	return out.String(), nil
}

// A keyEdit is one key of a file and the value that shall stand there.
type keyEdit struct {
	key       string
	was, want plan.Value
	why       string
}

// A keyRule says what becomes of a key's value. Returning plan.Gone removes the key.
type keyRule func(s *Scene, key, was string) (plan.Value, string, error)

// edits asks the rule about every key of a file. All errors come at once, with file and key.
func (s *Scene) edits(codec text.Codec, file string, rule keyRule) ([]keyEdit, error) {
	data, err := s.Host.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.editsOf(codec, file, data, rule)
}

func (s *Scene) editsOf(codec text.Codec, file string, data []byte, rule keyRule) ([]keyEdit, error) {
	list, err := codec.List(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	var out []keyEdit
	var errs []error
	seen := map[string]bool{}
	for _, e := range list {
		if seen[e.Key] {
			continue
		}
		seen[e.Key] = true
		was, ok, err := codec.Get(data, e.Key)
		if err != nil || !ok {
			errs = append(errs, err)
			continue
		}
		want, why, err := rule(s, e.Key, was)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", file, e.Key, err))
			continue
		}
		if want != plan.Text(was) {
			out = append(out, keyEdit{e.Key, plan.Text(was), want, why})
		}
	}
	return out, errors.Join(errs...)
}

// settle proposes the edits of a file, and its new name where that differs.
func (s *Scene) settle(codec text.Codec, file, newFile string, list []keyEdit) error {
	if newFile == file {
		for _, e := range list {
			s.Propose(plan.Change{Kind: plan.Kind(codec.Name), Where: file, Key: e.key, Was: e.was, Want: e.want, Why: e.why,
				Restart: s.by.Units})
		}
		return nil
	}
	data, err := s.Host.ReadFile(file)
	if err != nil {
		return err
	}
	if data, err = edited(codec, file, data, list); err != nil {
		return err
	}
	return s.move(file, newFile, data)
}

// edited returns data with the edits made.
func edited(codec text.Codec, file string, data []byte, list []keyEdit) ([]byte, error) {
	var err error
	for _, e := range list {
		if e.want.Absent {
			data, err = codec.Delete(data, e.key)
		} else {
			data, err = codec.Set(data, e.key, e.want.Text)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot set %s of %s: %w", e.key, file, err)
		}
	}
	return data, nil
}

// move proposes a file under another name. Another file of that name is not overwritten: which of the two the golden
// machine used cannot be known.
func (s *Scene) move(file, newFile string, data []byte) error {
	if there, err := s.Host.ReadFile(newFile); err == nil && string(there) != string(data) {
		return fmt.Errorf("%s is for a NIC that is called otherwise here, and %s exists already", file, newFile)
	}
	info, err := s.Host.Stat(file)
	if err != nil {
		return err
	}
	if err := s.File(newFile, data, plan.Meta{Mode: uint32(info.Mode().Perm())}, "the NIC has another name on this machine"); err != nil {
		return err
	}
	return s.Remove(file, "the NIC has another name on this machine")
}

// static refuses a configured address of the golden machine: every clone would have it. Later, when this clone is itself,
// its administrator may configure the address that it has.
func (s *Scene) static(file, key, value string) {
	if !s.Rekey {
		return
	}
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,;/", r) }) {
		if a, err := netip.ParseAddr(w); err == nil && s.Old.Address(a) {
			s.Danger(file+" "+key, fmt.Sprintf("%s is configured as the golden machine's own address, and every clone would take it; use DHCP in the image", a))
		}
	}
}

// configs returns the files that match any of the patterns, without copies that editors and package managers leave, which
// no network system reads.
func (s *Scene) configs(patterns ...string) ([]string, error) {
	var out []string
	for _, p := range patterns {
		list, err := s.Host.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("cannot list %s: %w", p, err)
		}
		for _, f := range list {
			if !leftover(path.Base(f)) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func leftover(name string) bool {
	return strings.HasSuffix(name, "~") || slices.ContainsFunc([]string{".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave",
		".dpkg-old", ".dpkg-dist", ".dpkg-new", ".swp"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// ruled is the usual answer of a keyRule: what a rule makes of the value.
func ruled(s *Scene, rule Rule, was, why string) (plan.Value, string, error) {
	want, err := rule(s, was)
	return plan.Text(want), why, err
}
