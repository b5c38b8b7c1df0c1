package vlan

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tap makes a tap of that name on the bridge and returns the file behind it. The tap is gone when the last copy of the
// file is closed.
func (n Network) Tap(name string) (*os.File, error) {
	var f *os.File
	err := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f = os.NewFile(uintptr(fd), name)
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	})
	if err == nil {
		err = n.attach(name)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, fmt.Errorf("cannot make the tap %s: %w", name, err)
	}
	return f, nil
}

// attach puts a link on the bridge and brings it up.
func (n Network) attach(name string) error {
	nl, err := n.links()
	if err != nil {
		return err
	}
	defer nl.Close()
	bridge, err := nl.LinkByName(n.Bridge)
	if err != nil {
		return err
	}
	link, err := nl.LinkByName(name)
	if err != nil {
		return err
	}
	if err := nl.LinkSetMaster(link, bridge); err != nil {
		return err
	}
	return nl.LinkSetUp(link)
}
