package builder

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/identity"
)

func TestParseLinks(t *testing.T) {
	const text = "nic eth0 02:67:6F:6c:64:73\naddress lo 127.0.0.1/8\naddress br-ex 198.51.100.77/24\nmachine 676f\nname packstack.lab\n"
	got, err := parseLinks(text, identity.Marker().Address)
	want := links{Interface: "br-ex", NICs: []identity.NIC{{Name: "eth0", MAC: "02:67:6f:6c:64:73"}}, MachineID: "676f", Hostname: "packstack.lab"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got.nic() != "eth0" {
		t.Errorf("nic %q", got.nic())
	}
	for name, text := range map[string]string{"nothing": "", "no device": "address eth0 198.51.100.77/24\n", "another address": "nic eth0 02:00:00:00:00:01\naddress eth0 10.0.0.1/8\n"} {
		if l, err := parseLinks(text, identity.Marker().Address); err == nil {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}
