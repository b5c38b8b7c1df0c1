package probe

import (
	"context"
	"regexp"
	"strings"
)

var machineIDRule = regexp.MustCompile(`^[0-9a-f]{32}$`)

func machineID() Probe {
	return Probe{Name: "machine-id", Question: "is its machine-id its own?", Ask: func(_ context.Context, t Target) Answer {
		b, err := t.ReadFile("/etc/machine-id")
		if err != nil {
			return skip("cannot look inside: " + err.Error())
		}
		id := strings.TrimSpace(string(b))
		if !machineIDRule.MatchString(id) {
			return fail("none", "/etc/machine-id holds %.40q", id)
		}
		return pass(id[:8], id)
	}}
}
