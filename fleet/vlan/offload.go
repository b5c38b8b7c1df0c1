package vlan

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// finishChecksums makes the kernel compute checksums before packets leave the bridge's own port. On virtual links it
// leaves that to hardware that is not there, and whoever reads raw frames on the other side sees wrong ones: Open vSwitch's
// userspace datapath in a clone passes them on, and dhclient behind it drops every answer ("bad udp checksums", measured).
func (n Network) finishChecksums() error {
	return n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot set up the bridge %s: %w", n.Bridge, err)
		}
		defer unix.Close(fd)
		value := struct{ cmd, data uint32 }{cmd: unix.ETHTOOL_STXCSUM} // struct ethtool_value
		req := struct {                                                // struct ifreq
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [24 - unsafe.Sizeof(uintptr(0))]byte
		}{data: unsafe.Pointer(&value)}
		copy(req.name[:unix.IFNAMSIZ-1], n.Bridge)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("cannot turn off checksum offloading on the bridge %s: %w", n.Bridge, errno)
		}
		return nil
	})
}
