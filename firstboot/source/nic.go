package source

import (
	"fmt"
	"net"
	"os"
	"sort"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
)

// nics lists the links that somebody outside gave to this machine, with the addresses that they were given.
func nics(inContainer bool) ([]identity.NIC, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("cannot list links: %w", err)
	}
	var out []identity.NIC
	for _, l := range links {
		if !isNIC(l, inContainer, hasDevice(l.Attrs().Name)) {
			continue
		}
		if mac := permanent(l.Attrs()); mac != "" {
			out = append(out, identity.NIC{Name: l.Attrs().Name, MAC: mac})
		}
	}
	sort.Sort(byName(out))
	return out, nil
}

// byName sorts without slices.SortFunc, which would be compiled once more for it: firstboot has a budget.
type byName []identity.NIC

func (n byName) Len() int           { return len(n) }
func (n byName) Less(i, j int) bool { return n[i].Name < n[j].Name }
func (n byName) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }

// isNIC tells a machine's own NIC from the links that its software makes. In a virtual machine every NIC has a device
// behind it, and bridges, bonds, taps, VLANs, Open vSwitch's ports, and docker's veths have none. In a container the NIC is
// a veth whose other end is somewhere else, or a macvlan on the host's NIC.
func isNIC(l netlink.Link, inContainer, device bool) bool {
	if !inContainer {
		return device
	}
	a := l.Attrs()
	switch l.Type() {
	case "veth", "macvlan", "ipvlan":
		return a.NetNsID >= 0 // the peer's, or lower link's, namespace; absent when it is ours
	}
	return device
}

// hasDevice looks for the device behind a link. /sys shows the network namespace in which it was mounted.
func hasDevice(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name + "/device")
	return err == nil
}

// permanent returns the address that the hypervisor gave, which a bond or an administrator may have covered with another.
// Links without an Ethernet address (InfiniBand, tunnels) have none for us.
func permanent(a *netlink.LinkAttrs) string {
	for _, mac := range []net.HardwareAddr{a.PermHWAddr, ethtoolPermanent(a.Name), a.HardwareAddr} {
		if len(mac) == 6 && mac[0]&1 == 0 && mac.String() != "00:00:00:00:00:00" {
			return mac.String()
		}
	}
	return ""
}

// ethtoolPermanent asks the driver, for kernels whose netlink does not tell (before 5.6: CentOS 7, RHEL 8).
func ethtoolPermanent(name string) net.HardwareAddr {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	req := struct { // struct ethtool_perm_addr
		cmd, size uint32
		data      [32]byte
	}{cmd: unix.ETHTOOL_GPERMADDR, size: 32}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil
	}
	if err := ioctlEthtool(fd, ifr, unsafe.Pointer(&req)); err != nil || req.size != 6 {
		return nil
	}
	return net.HardwareAddr(req.data[:6])
}

// ioctlEthtool hands a pointer to the driver in the data field of struct ifreq, which unix.Ifreq does not let us set.
func ioctlEthtool(fd int, ifr *unix.Ifreq, data unsafe.Pointer) error {
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: data}
	copy(req.name[:], ifr.Name())
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}
