package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A Twin is another machine on the VLAN that is, in part, this one.
type Twin struct {
	Link    string
	Address netip.Addr // the address that it has as well; zero when only the MAC is the same
	MAC     string     // its MAC
	Same    bool       // that MAC is ours
}

func (t *Twin) Error() string {
	switch {
	case t.Same && t.Address.IsValid():
		return fmt.Sprintf("another machine on %s has our address %s and our MAC %s: it is a twin of this clone", t.Link, t.Address, t.MAC)
	case t.Same:
		return fmt.Sprintf("another machine on %s sends from our MAC %s: it is a twin of this clone", t.Link, t.MAC)
	}
	return fmt.Sprintf("another machine on %s, MAC %s, has our address %s", t.Link, t.MAC, t.Address)
}

// Timing of the probe. RFC 5227 spends 3 to 7 s, for radio links and sleeping hosts; on a VLAN an answer takes less than a
// millisecond, and a DHCP client has asked before us.
const (
	probes   = 3
	interval = 100 * time.Millisecond
	linger   = 250 * time.Millisecond
)

// Probe looks for a twin: it asks who has the face's address (an ARP probe, RFC 5227 section 2.1.1) and listens for frames
// that come in from our own MAC. A twin is an error of type *Twin. IPv6 needs no probe: the kernel has made one before the
// address counted (RFC 4862, section 5.4).
//
// Each question goes out twice, from our MAC and from one made up for this probe: a twin with our very MAC answers to that
// MAC, and a switch sends the answer back to where it came from. The answer to the other MAC comes to us.
func Probe(ctx context.Context, f Face) error {
	if !f.Address.Is4() {
		return nil
	}
	mac, err := net.ParseMAC(f.MAC)
	if err != nil || len(mac) != 6 {
		return nil // no Ethernet below: nobody to ask
	}
	ifi, err := net.InterfaceByName(f.Interface)
	if err != nil {
		return fmt.Errorf("cannot look for a twin on %s: %w", f.Interface, err)
	}
	own, err := ownMACs()
	if err != nil {
		return fmt.Errorf("cannot look for a twin on %s: %w", f.Interface, err)
	}
	fd, err := packetSocket(ifi.Index, mac)
	if err != nil {
		return fmt.Errorf("cannot look for a twin on %s: %w", f.Interface, err)
	}
	defer unix.Close(fd)
	p := prober{fd: fd, index: ifi.Index, judge: judge{link: f.Interface, mac: mac, address: f.Address, own: own}}
	if err := p.run(ctx); err != nil {
		if t := (*Twin)(nil); errors.As(err, &t) {
			return err
		}
		return fmt.Errorf("cannot look for a twin on %s: %w", f.Interface, err)
	}
	return nil
}

type prober struct {
	fd, index int
	judge     judge
}

func (p *prober) run(ctx context.Context) error {
	for range probes {
		for _, from := range []net.HardwareAddr{p.judge.mac, madeUp()} {
			frame := arpProbe(from, p.judge.address)
			if err := unix.Sendto(p.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: p.index, Halen: 6}); err != nil {
				return fmt.Errorf("cannot send: %w", err)
			}
		}
		if err := p.listen(ctx, time.Now().Add(interval)); err != nil {
			return err
		}
	}
	return p.listen(ctx, time.Now().Add(linger))
}

// listen hears what comes until the given moment.
func (p *prober) listen(ctx context.Context, until time.Time) error {
	buf := make([]byte, 2048)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		left := time.Until(until).Milliseconds()
		if left <= 0 {
			return nil
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left))
		if ready == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		n, from, err := unix.Recvfrom(p.fd, buf, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot receive: %w", err)
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		if t := p.judge.hear(buf[:n], ll.Pkttype == unix.PACKET_OUTGOING); t != nil {
			return t
		}
	}
}

// A judge decides whether a frame gives a twin away.
type judge struct {
	link    string
	mac     net.HardwareAddr
	address netip.Addr
	own     map[string]bool // MACs of all our links: with two NICs in one VLAN, Linux answers on both
	sent    [][]byte        // what went out from us lately
}

// keepSent bounds the memory of sent frames.
const keepSent = 256

// hear returns the twin that a frame gives away, or nil. Some virtual switches reflect frames to their sender (VMware with
// promiscuous mode and two uplinks), so what we have sent ourselves proves nothing.
func (j *judge) hear(frame []byte, outgoing bool) *Twin {
	if len(frame) < 14 {
		return nil
	}
	if outgoing {
		if len(j.sent) < keepSent {
			j.sent = append(j.sent, bytes.Clone(frame))
		}
		return nil
	}
	sender, address, isARP := arpSender(frame)
	fromUs := bytes.Equal(frame[6:12], j.mac) || isARP && bytes.Equal(sender, j.mac)
	switch {
	case fromUs && !j.reflected(frame):
		t := &Twin{Link: j.link, MAC: j.mac.String(), Same: true}
		if isARP && address == j.address {
			t.Address = address
		}
		return t
	case isARP && address == j.address && !fromUs && !j.own[sender.String()]:
		return &Twin{Link: j.link, MAC: sender.String(), Address: address}
	}
	return nil
}

// reflected compares without the padding to 60 bytes that a real wire adds.
func (j *judge) reflected(frame []byte) bool {
	for _, s := range j.sent {
		if len(s) <= len(frame) && bytes.Equal(s, frame[:len(s)]) && len(bytes.Trim(frame[len(s):], "\x00")) == 0 {
			return true
		}
	}
	return false
}

// arpProbe is a question for an address by somebody who has none (RFC 826, RFC 5227).
func arpProbe(from net.HardwareAddr, addr netip.Addr) []byte {
	b := bytes.Repeat([]byte{0xff}, 6)
	b = append(b, from...)
	b = append(b, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1) // ARP, Ethernet, IPv4, request
	b = append(b, from...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	ip := addr.As4()
	return append(b, ip[:]...)
}

// arpSender returns who speaks in an ARP frame, and under which address.
func arpSender(b []byte) (net.HardwareAddr, netip.Addr, bool) {
	if len(b) < 42 || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_ARP || !bytes.Equal(b[14:20], []byte{0, 1, 8, 0, 6, 4}) {
		return nil, netip.Addr{}, false
	}
	return net.HardwareAddr(b[22:28]), netip.AddrFrom4([4]byte(b[28:32])), true
}

// madeUp returns a locally administered unicast address that nobody has.
func madeUp() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	rand.Read(mac)
	mac[0] = mac[0]&^1 | 2
	return mac
}

func ownMACs() (map[string]bool, error) {
	links, err := net.Interfaces()
	own := map[string]bool{}
	for _, l := range links {
		own[l.HardwareAddr.String()] = true
	}
	return own, err
}

// packetSocket hears ARP and everything that comes from mac, whoever it is for, until it is closed.
func packetSocket(index int, mac net.HardwareAddr) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: deaf until bound
	if err != nil {
		return -1, err
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = errors.Join(
		attach(fd, mac),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// attach lets the kernel drop everything else, so that a busy VLAN costs nothing: a classic BPF program over the Ethernet
// header.
func attach(fd int, mac net.HardwareAddr) error {
	const ldh, ldw, jeq, ret = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_LD | unix.BPF_W | unix.BPF_ABS,
		unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	prog := []unix.SockFilter{
		{Code: ldh, K: 12},
		{Code: jeq, K: unix.ETH_P_ARP, Jt: 4},
		{Code: ldw, K: 6},
		{Code: jeq, K: binary.BigEndian.Uint32(mac[:4]), Jf: 3},
		{Code: ldh, K: 10},
		{Code: jeq, K: uint32(binary.BigEndian.Uint16(mac[4:])), Jf: 1},
		{Code: ret, K: 2048},
		{Code: ret, K: 0},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
}
