package rewriters

import "slices"

// first are units that the stack phase itself needs: holding them behind it would be a circle.
func first(unit string) bool {
	return slices.Contains([]string{"mariadb.service", "mysqld.service", "mysql.service", "postgresql.service",
		"ovsdb-server.service", "openvswitch.service", "openvswitch-switch.service"}, unit)
}

// Waiting lists the units of the named stacks that must not start before a clone is itself, each once, in the
// catalogue's order.
func Waiting(stacks []string) []string {
	var out []string
	for _, r := range All() {
		if r.Phase != Stack || !slices.Contains(stacks, r.Name) {
			continue
		}
		for _, u := range r.Units {
			if !first(u) && !slices.Contains(out, u) {
				out = append(out, u)
			}
		}
	}
	return out
}
