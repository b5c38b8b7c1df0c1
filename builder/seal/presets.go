package seal

import (
	"path"
	"slices"
	"strings"
)

// presets keeps units as the image has them. On the first boot that an uninitialized machine id announces, systemd enables
// every unit that the distribution's presets allow (machine-id(5), systemd.preset(5)); Debian's allow all. What the recipe
// or the administrator had switched off would come up on every clone.
var presets = Operation{
	Name:  "presets",
	Short: "systemd presets: what is enabled stays, and nothing else comes up on first boot",
	Why:   "first boot applies the distribution's presets, and Debian's enable everything",
	Do: func(s *Scene) error {
		if !s.Tree.Exists("etc/systemd/system") {
			return nil
		}
		links, err := s.Find("etc/systemd/system/*.wants/*", "etc/systemd/system/*.requires/*")
		if err != nil {
			return err
		}
		var units []string
		for _, l := range links {
			units = append(units, "enable "+template(path.Base(l)))
		}
		slices.Sort(units)
		lines := append([]string{"# written when this image was sealed"}, slices.Compact(units)...)
		lines = append(lines, "disable *", "")
		if !s.Tree.Exists(path.Dir(presetFile)) && !s.dry {
			if err := s.Tree.MkdirAll(path.Dir(presetFile), 0o755); err != nil {
				return err
			}
		}
		return s.Write(presetFile, []byte(strings.Join(lines, "\n")), 0o644)
	},
}

const presetFile = "etc/systemd/system-preset/00-goldsmith.preset"

// template names an instance as presets do: "getty@tty1.service" is "getty@.service tty1".
func template(unit string) string {
	name, rest, ok := strings.Cut(unit, "@")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 {
		return unit
	}
	return name + "@" + rest[dot:] + " " + rest[:dot]
}
