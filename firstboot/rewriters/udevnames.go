package rewriters

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/keyfile"
)

// udevNames forgets the names that udev was told to give to the golden NICs. On the clone they would go to nobody, and its
// own NICs would get the next free number. It also says what became of names that drifted.
func udevNames() Rewriter {
	return Rewriter{
		Name: "udevnames", Short: "names that udev gives to NICs by their MAC", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "/etc/udev/rules.d/*-persistent-net.rules", Why: "one line per NIC that was ever seen"},
			{Where: "/etc/systemd/network/*.link", Key: "[Match] MACAddress, PermanentMACAddress", Why: "MAC of the golden NIC; with [Link] Name the file goes"},
		},
		Plan: planUdevNames,
	}
}

func planUdevNames(_ context.Context, s *Scene) error {
	rules, err1 := s.configs("/etc/udev/rules.d/*-persistent-net.rules")
	links, err2 := s.configs("/etc/systemd/network/*.link", "/etc/systemd/network/*.link.d/*.conf", "/run/systemd/network/*.link")
	errs := []error{err1, err2}
	for _, f := range rules {
		errs = append(errs, s.forgetNames(f))
	}
	for _, f := range links {
		errs = append(errs, s.linkFile(f))
	}
	s.noteDrift()
	return errors.Join(errs...)
}

// forgetNames drops the lines of a rules file that name NICs of an earlier self, and the file when only comments are left.
func (s *Scene) forgetNames(file string) error {
	data, err := s.Host.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept strings.Builder
	rules := 0
	for line := range strings.Lines(string(data)) {
		if s.foreignNIC(line) {
			continue
		}
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
			rules++
		}
		kept.WriteString(line)
	}
	if rules == 0 {
		return s.Remove(file, "names the golden NICs")
	}
	return s.File(file, []byte(kept.String()), plan.Meta{Mode: 0o644}, "names the golden NICs")
}

// foreignNIC tells whether a rule is about a MAC that was ours and is not any more.
func (s *Scene) foreignNIC(line string) bool {
	for field := range strings.SplitSeq(line, ",") {
		match, value, ok := strings.Cut(strings.TrimSpace(field), "==")
		if !ok || !strings.HasPrefix(match, "ATTR") || !strings.Contains(match, "{address}") {
			continue
		}
		mac := strings.Trim(value, `"`)
		return s.Old.MAC(mac) && !s.ownMAC(mac)
	}
	return false
}

func (s *Scene) ownMAC(mac string) bool {
	for _, n := range s.To.NICs {
		if SameMAC(n.MAC, mac) {
			return true
		}
	}
	return false
}

// linkFile follows the MAC of a .link file. One that gives a name goes instead: the clone's NIC has a name already, by
// which everything else calls it.
func (s *Scene) linkFile(file string) error {
	list, err := s.edits(keyfile.Codec, file, func(s *Scene, key, was string) (plan.Value, string, error) {
		if strings.HasSuffix(key, "MACAddress") {
			return ruled(s, macList, was, "MAC of the golden NIC")
		}
		return plan.Text(was), "", nil
	})
	if err != nil || len(list) == 0 {
		return err
	}
	if name, ok, err := s.Get(keyfile.Codec, file, "[Link] Name"); err != nil || ok {
		if err == nil && !s.hasNIC(name) {
			return s.Remove(file, "names the golden NIC")
		}
		if err != nil {
			return err
		}
	}
	return s.settle(keyfile.Codec, file, file, list)
}

// noteDrift tells which NIC took which place, where that was a choice.
func (s *Scene) noteDrift() {
	m, err := s.renames()
	if err != nil || len(s.To.NICs) < 2 {
		return
	}
	for _, n := range s.From.NICs {
		if to := m[n.Name]; to != "" && to != n.Name {
			s.Note(fmt.Sprintf("NIC %s is called %s here", n.Name, to), "by the order of their names; public_interface in the recipe decides otherwise")
		}
	}
}
