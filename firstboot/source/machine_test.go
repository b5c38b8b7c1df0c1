package source

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func TestMachineID(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct{ name, content, want, fault string }{
		{"an id", id + "\n", id, ""},
		{"sealed", "uninitialized\n", "", ""},
		{"empty", "", "", ""},
		{"too short", "abc\n", "", "not 32 hexadecimal digits"},
		{"UUID", "01234567-89ab-cdef-0123-456789abcdef\n", "", "not 32 hexadecimal digits"},
	} {
		got, err := machineID(machine(t, false, map[string]string{"etc/machine-id": c.content}))
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if got, err := machineID(machine(t, false, nil)); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
}

func TestSystemUUID(t *testing.T) {
	for content, want := range map[string]string{
		"4C4C4544-0042-3010-8044-B4C04F563432\n": "4c4c4544-0042-3010-8044-b4c04f563432",
		"00000000-0000-0000-0000-000000000000\n": "",
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n": "",
	} {
		if got := systemUUID(machine(t, true, map[string]string{"sys/class/dmi/id/product_uuid": content})); got != want {
			t.Errorf("%q gives %q", content, got)
		}
	}
	if got := systemUUID(machine(t, true, nil)); got != "" {
		t.Errorf("no SMBIOS gives %q", got)
	}
}

func TestContainer(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"systemd says so": {"run/systemd/container": "lxc"},
		"environment":     {"proc/1/environ": "A=b\x00container=podman\x00"},
		"first variable":  {"proc/1/environ": "container=lxc\x00"},
	} {
		if !container(machine(t, true, files)) {
			t.Errorf("%s: no container", name)
		}
	}
	if container(machine(t, true, map[string]string{"proc/1/environ": "my_container=x\x00"})) {
		t.Error("a variable with another name makes a container")
	}
}

// A tree shows only its files: the links and the firmware around it are the bench's.
func TestLookAtATree(t *testing.T) {
	m, err := Look(context.Background(), machine(t, false, map[string]string{
		"etc/machine-id": "0123456789abcdef0123456789abcdef", "sys/class/dmi/id/product_uuid": "4c4c4544-0042-3010-8044-b4c04f563432"}))
	if err != nil || len(m.NICs) > 0 || m.SystemUUID != "" || m.MachineID == "" || m.Container {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestIsNIC(t *testing.T) {
	link := func(l netlink.Link, netns int) netlink.Link { l.Attrs().NetNsID = netns; return l }
	for _, c := range []struct {
		name              string
		link              netlink.Link
		device, inVM, inC bool
	}{
		{"virtio", link(&netlink.Device{}, -1), true, true, true},
		{"veth of a docker container, seen in a VM", link(&netlink.Veth{}, 0), false, false, true},
		{"both ends here", link(&netlink.Veth{}, -1), false, false, false},
		{"macvlan on the host's NIC", link(&netlink.Macvlan{}, 0), false, false, true},
		{"bridge", link(&netlink.Bridge{}, -1), false, false, false},
		{"bond", link(&netlink.Bond{}, -1), false, false, false},
		{"tap", link(&netlink.Tuntap{}, -1), false, false, false},
		{"dummy", link(&netlink.Dummy{}, -1), false, false, false},
		{"port of Open vSwitch", link(&netlink.GenericLink{LinkType: "openvswitch"}, -1), false, false, false},
	} {
		if got := isNIC(c.link, false, c.device); got != c.inVM {
			t.Errorf("%s in a VM: %v", c.name, got)
		}
		if got := isNIC(c.link, true, c.device); got != c.inC {
			t.Errorf("%s in a container: %v", c.name, got)
		}
	}
}

func TestPermanentAddress(t *testing.T) {
	hw := []byte{0x52, 0x54, 0, 1, 2, 3}
	covered := []byte{2, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name string
		a    netlink.LinkAttrs
		want string
	}{
		{"covered by a bond's", netlink.LinkAttrs{Name: "nosuch0", PermHWAddr: hw, HardwareAddr: covered}, "52:54:00:01:02:03"},
		{"driver tells none", netlink.LinkAttrs{Name: "nosuch0", HardwareAddr: hw}, "52:54:00:01:02:03"},
		{"driver tells zeros", netlink.LinkAttrs{Name: "nosuch0", PermHWAddr: make([]byte, 6), HardwareAddr: hw}, "52:54:00:01:02:03"},
		{"InfiniBand", netlink.LinkAttrs{Name: "nosuch0", HardwareAddr: make([]byte, 20)}, ""},
	} {
		if got := permanent(&c.a); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestSettleWaitsForTheQueue(t *testing.T) {
	h := machine(t, true, map[string]string{"run/udev/control": "", "run/udev/queue": ""})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := Settle(ctx, h); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full queue: %v", err)
	}
	if err := Settle(context.Background(), machine(t, true, map[string]string{"run/udev/control": ""})); err != nil {
		t.Errorf("an empty queue: %v", err)
	}
	if err := Settle(context.Background(), machine(t, true, map[string]string{"run/udev/queue": ""})); err != nil {
		t.Errorf("no udev: %v", err)
	}
}

func TestReadVolumeIgnoresOtherDevices(t *testing.T) {
	name := t.TempDir() + "/disk"
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dev := range []string{name, name + "-gone"} {
		if v, err := readVolume(dev); v != nil || err != nil {
			t.Errorf("%s: %+v, %v", dev, v, err)
		}
	}
}
