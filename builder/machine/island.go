package machine

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
)

// island makes a network namespace without a name in which the identity's link has its MAC and address and the loopback
// is up. The other end of the link ends in the same namespace and is down at nobody: there is no route out.
func island(id identity.Identity) (*os.File, error) {
	type result struct {
		ns  *os.File
		err error
	}
	out := make(chan result)
	go func() {
		// The thread changes its namespace, so it must not serve other goroutines afterwards: never unlocked, it ends here.
		runtime.LockOSThread()
		ns, err := makeIsland(id)
		out <- result{ns, err}
	}()
	r := <-out
	if r.err != nil {
		return nil, fmt.Errorf("cannot make network of the machine: %w", r.err)
	}
	return r.ns, nil
}

func makeIsland(id identity.Identity) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	mac, err := net.ParseMAC(id.MAC(id.Interface))
	if err != nil {
		return nil, err
	}
	pair := &netlink.Veth{PeerName: "far0", LinkAttrs: netlink.LinkAttrs{Name: id.Interface, HardwareAddr: mac}}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("link %s: %w", id.Interface, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: id.Address.AsSlice(), Mask: net.CIDRMask(id.PrefixLen, id.Address.BitLen())}}
	if err := netlink.AddrAdd(pair, address); err != nil {
		return nil, fmt.Errorf("address %s: %w", id.Address, err)
	}
	for _, name := range []string{"lo", "far0", id.Interface} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", name, err)
		}
	}
	return os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
}
