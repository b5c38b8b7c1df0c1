package templates

import (
	"strings"
	"testing"
)

// TestUnitsWaitForTheirPhase shows that whoever reads NICs' names or speaks on the network does so after the local phase,
// and the stack after the other one.
func TestUnitsWaitForTheirPhase(t *testing.T) {
	files, err := Units([]string{"keystone.service"})
	if err != nil {
		t.Fatal(err)
	}
	dropIn := map[string]string{}
	for _, f := range files {
		dropIn[f.Path] = string(f.Data)
	}
	for unit, gate := range map[string]string{
		"networking": "goldsmith-local.service", "ifup@": "goldsmith-local.service", "ifupdown-wait-online": "goldsmith-local.service",
		"NetworkManager": "goldsmith-local.service", "systemd-networkd": "goldsmith-local.service", "keystone": "goldsmith-stack.target",
	} {
		text := dropIn["/etc/systemd/system/"+unit+".service.d/10-goldsmith.conf"]
		if !strings.Contains(text, "Requires="+gate+"\n") || !strings.Contains(text, "After="+gate+"\n") {
			t.Errorf("%s does not wait for %s: %q", unit, gate, text)
		}
	}
}
