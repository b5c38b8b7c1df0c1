package driver

import (
	"encoding/xml"
	"strings"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/fleet/vlan"
)

func TestDomainXML(t *testing.T) {
	m := Machine{Name: "t-1", Unit: "gs1-1", Dir: "/srv/a&b", MAC: "52:54:00:00:00:01", UUID: "8c5e2b1a-4f0d-4c7e-9a51-0d6f3b7a2e94",
		Network: vlan.Network{Bridge: "br0"}, CPUs: 3, Claim: identity.Claim{Hostname: "t-1", Prefix: `<"&`}}
	b, err := domainXML(m, "tcg", machineFiles{overlayOf(m), m.Console(), portLogOf(m)})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type    string   `xml:"type,attr"`
		Name    string   `xml:"name"`
		Memory  int      `xml:"memory"`
		CPUs    int      `xml:"vcpu"`
		Strings []string `xml:"sysinfo>oemStrings>entry"`
		Disk    struct {
			File string `xml:"file,attr"`
		} `xml:"devices>disk>source"`
		Link struct {
			Device string `xml:"dev,attr"`
		} `xml:"devices>interface>target"`
		MAC struct {
			Address string `xml:"address,attr"`
		} `xml:"devices>interface>mac"`
	}
	if err := xml.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "qemu" || got.Name != "gs1-1" || got.Memory != defaultMemory || got.CPUs != 3 || got.Disk.File != "/srv/a&b/disk.qcow2" ||
		got.Link.Device != "gs1-1v" || got.MAC.Address != m.MAC {
		t.Errorf("got %+v", got)
	}
	if len(got.Strings) != 1 || !strings.HasPrefix(got.Strings[0], `io.systemd.credential:goldsmith.identity={"hostname":"t-1"`) {
		t.Errorf("the credential is %q", got.Strings)
	}
}
