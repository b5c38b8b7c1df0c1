package rewriters

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/interfaces"
)

// ifupdown follows Debian's /etc/network/interfaces.
func ifupdown() Rewriter {
	const files = "/etc/network/interfaces, /etc/network/interfaces.d/*"
	return Rewriter{
		Name: "ifupdown", Short: "ifupdown: MACs, names of NICs, DHCP client ids", Phase: Local, Base: true,
		Owns: []Place{
			{Where: files, Key: "hwaddress, bridge_hw, and MACs in ovs_extra and commands", Why: "MACs of NICs, and those that bridges copy"},
			{Where: files, Key: "iface, auto, allow-..., and lists of ports", Why: "names of NICs"},
			{Where: files, Key: "client, hostname", Why: "what the DHCP server knows the machine by"},
		},
		Plan: planIfupdown,
	}
}

func planIfupdown(_ context.Context, s *Scene) error {
	files, err := s.configs("/etc/network/interfaces", "/etc/network/interfaces.d/*")
	errs := []error{err}
	for _, f := range files {
		if !strings.HasPrefix(path.Base(f), ".") {
			errs = append(errs, s.renamed(interfaces.Codec, f, interfaces.Rename, ifupdownRule(f), none))
		}
	}
	return errors.Join(errs...)
}

func none([]byte) ([]keyEdit, error) { return nil, nil }

func ifupdownRule(file string) keyRule {
	return func(s *Scene, key, was string) (plan.Value, string, error) {
		option, _, _ := strings.Cut(key[strings.LastIndexByte(key, ' ')+1:], "#")
		switch option {
		case "client":
			return plan.Gone, "a literal client id makes all clones one machine to the DHCP server", nil
		case "hostname":
			return ruled(s, Name, was, "host name that the DHCP server learns")
		case "address":
			s.static(file, key, was)
		}
		return ruled(s, macsWithin, was, "MAC of the golden NIC")
	}
}

// A renamer gives a NIC another name everywhere in a file.
type renamer func(data []byte, from, to string) ([]byte, error)

// renamed proposes a file whose format names NICs in many places: by settings where only values change, whole where a NIC
// has another name here. more are edits that no existing key asks for.
func (s *Scene) renamed(codec text.Codec, file string, rename renamer, rule keyRule, more func([]byte) ([]keyEdit, error)) error {
	before, err := s.Host.ReadFile(file)
	if err != nil {
		return err
	}
	data, err := s.renameNICs(before, rename)
	if err != nil {
		return fmt.Errorf("cannot follow %s: %w", file, err)
	}
	list, err := s.editsOf(codec, file, data, rule)
	if err != nil {
		return err
	}
	added, err := more(data)
	if err != nil {
		return fmt.Errorf("cannot follow %s: %w", file, err)
	}
	list = append(list, added...)
	if string(data) == string(before) {
		return s.settle(codec, file, file, list)
	}
	if data, err = edited(codec, file, data, list); err != nil {
		return err
	}
	propose := s.File
	if lower := strings.ToLower(string(before)); strings.Contains(lower, "password") || strings.Contains(lower, "psk") {
		propose = s.SecretFile // a radio network's key
	}
	return propose(file, data, plan.Meta{Mode: 0o600}, "the NIC has another name on this machine")
}

// renameNICs gives every NIC of an earlier self the name that it has here. That a file does not speak of a NIC shows by
// renaming it to a name that nobody has.
func (s *Scene) renameNICs(data []byte, rename renamer) ([]byte, error) {
	seen := map[string]bool{}
	for _, old := range s.Old {
		for _, n := range old.NICs {
			if seen[n.Name] || s.hasNIC(n.Name) {
				continue
			}
			seen[n.Name] = true
			probe, err := rename(data, n.Name, "gs-nobody")
			if err != nil {
				return nil, err
			}
			if string(probe) == string(data) {
				continue
			}
			to, err := Link(s, n.Name)
			if err != nil {
				return nil, err
			}
			if data, err = rename(data, n.Name, to); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// A MAC as network tools write it, and nothing longer.
var macPattern = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b`)

// macsWithin follows every MAC in a text such as a command.
func macsWithin(s *Scene, was string) (string, error) {
	var errs []error
	want := macPattern.ReplaceAllStringFunc(was, func(mac string) string {
		to, err := LinkMAC(s, mac)
		errs = append(errs, err)
		return to
	})
	return want, errors.Join(errs...)
}
