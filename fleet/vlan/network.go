// Package vlan is the wire that clones meet on: an existing bridge of the host, behind somebody else's DHCP server, or a
// lab, a private VLAN with a DHCP server of its own that knows nothing of the clones.
package vlan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"goldsmith/firstboot/report"
)

// A Network is a bridge, and the network namespace that it stands in.
type Network struct {
	Bridge    string `json:"bridge"`
	Namespace string `json:"namespace,omitempty"` // name below /run/netns; empty: the one goldsmith runs in
	Host      string `json:"host,omitempty"`      // where the bridge is another host's: how that host is reached
}

// namespaces is where iproute2 keeps named network namespaces.
const namespaces = "/run/netns"

// Do calls f inside the network's namespace, on a thread that is thrown away afterwards: nothing else of the program
// ever runs there. Sockets and processes that f makes stay in the namespace; goroutines that f starts do not.
func (n Network) Do(f func() error) error {
	if n.Namespace == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- n.enter(f)
	}()
	return <-done
}

// Dial connects from inside the network's namespace. The address must not need a resolver.
func (n Network) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = n.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

func (n Network) enter(f func() error) error {
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	if err := unix.Setns(int(h), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter the network namespace %s: %w", n.Namespace, err)
	}
	return f()
}

// handle opens the namespace.
func (n Network) handle() (netns.NsHandle, error) {
	path := "/proc/thread-self/ns/net"
	if n.Namespace != "" {
		path = filepath.Join(namespaces, n.Namespace)
	}
	h, err := netns.GetFromPath(path)
	if err != nil {
		return h, report.Faultf(report.Usage, "cannot open the network namespace %s: %w", n.Namespace, err).
			WithHint("ip netns list")
	}
	return h, nil
}

// links opens a netlink socket in the namespace. The caller closes it.
func (n Network) links() (*netlink.Handle, error) {
	h, err := n.handle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return netlink.NewHandleAt(h)
}

// Check says whether the bridge is there and is one.
func (n Network) Check() error {
	if n.Host != "" {
		return nil // who runs machines there looks
	}
	nl, err := n.links()
	if err != nil {
		return err
	}
	defer nl.Close()
	l, err := nl.LinkByName(n.Bridge)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return report.Faultf(report.Usage, "cannot find the bridge %s", n.Bridge).
			WithHint("ip link show type bridge").
			WithHint("ip link add %s type bridge forward_delay 0 && ip link set %s up", n.Bridge, n.Bridge).
			WithHint("--lab makes a private VLAN that belongs to the fleet")
	}
	if err != nil {
		return fmt.Errorf("cannot look at the bridge %s: %w", n.Bridge, err)
	}
	if l.Type() != "bridge" {
		return report.Faultf(report.Usage, "cannot use %s as a bridge: it is a link of type %s", n.Bridge, l.Type()).
			WithHint("ip link show type bridge")
	}
	return nil
}

// Subnet returns the bridge's own IPv4 address and its prefix; the zero Prefix where it has none, or is another host's.
func (n Network) Subnet() (netip.Prefix, error) {
	var out netip.Prefix
	if n.Host != "" {
		return out, nil
	}
	err := n.Do(func() error {
		l, err := net.InterfaceByName(n.Bridge)
		if err != nil {
			return err
		}
		list, err := l.Addrs()
		for _, a := range list {
			if p, e := netip.ParsePrefix(a.String()); e == nil && p.Addr().Is4() {
				out = p
			}
		}
		return err
	})
	return out, err
}

// Address returns the bridge's own IPv4 address, or the zero Addr.
func (n Network) Address() (netip.Addr, error) {
	p, err := n.Subnet()
	return p.Addr(), err
}

// innerName is what systemd-nspawn calls the inner end of a veth, and what systemd-networkd's own
// 80-container-host0.network matches.
const innerName = "host0"

// Plug makes a veth pair: port, on the bridge, and host0 with the given MAC, inside the namespace that ns refers to. The
// pair goes away with that namespace.
func (n Network) Plug(port, mac string, ns int) error {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	nl, err := n.links()
	if err != nil {
		return err
	}
	defer nl.Close()
	bridge, err := nl.LinkByName(n.Bridge)
	if err != nil {
		return fmt.Errorf("cannot find the bridge %s: %w", n.Bridge, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = port, bridge.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: innerName, PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(ns)}
	if err := nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("cannot make the link %s: %w", port, err)
	}
	if err := nl.LinkSetUp(veth); err != nil {
		return fmt.Errorf("cannot bring the link %s up: %w", port, err)
	}
	return nil
}

// Unplug removes the port of a clone, or does nothing where it is gone already, with or without its namespace.
func (n Network) Unplug(port string) error {
	nl, err := n.links()
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer nl.Close()
	return removeLink(nl, port)
}

func removeLink(nl *netlink.Handle, name string) error {
	l, err := nl.LinkByName(name)
	if err == nil {
		err = nl.LinkDel(l)
	}
	_, missing := errors.AsType[netlink.LinkNotFoundError](err)
	if missing || errors.Is(err, unix.ENODEV) {
		return nil // ENODEV: the kernel was removing it at this moment
	}
	if err != nil {
		return fmt.Errorf("cannot remove the link %s: %w", name, err)
	}
	return nil
}

// NewNamespace makes a network namespace without a name. It lives as long as the handle or a process in it.
func NewNamespace() (netns.NsHandle, error) {
	type result struct {
		h   netns.NsHandle
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{netns.None(), fmt.Errorf("cannot make a network namespace: %w", err)}
			return
		}
		h, err := netns.GetFromPath("/proc/thread-self/ns/net")
		done <- result{h, err}
	}()
	r := <-done
	return r.h, r.err
}

// nameNamespace makes a network namespace under a name, as "ip netns add" does, but in this process: an ip that outlives a
// killed goldsmith would make it after everything had been removed.
func nameNamespace(name string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		h, err := netns.NewNamed(name)
		if err == nil {
			err = h.Close()
		}
		done <- err
	}()
	return <-done
}

// unnameNamespace removes the name of a network namespace, also one that was cut between its file and its mount.
func unnameNamespace(name string) error {
	path := filepath.Join(namespaces, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return os.Remove(path)
}
