package lease

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// defaultRoutes asks the kernel through the lower half of the netlink package. The upper half knows every encapsulation that
// a route may have, which would be fifty kilobytes of firstboot.
func defaultRoutes() ([]route, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	req.AddData(&nl.RtMsg{}) // of every family
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
	if err != nil {
		return nil, err
	}
	var out []route
	for _, m := range messages {
		r, ok, err := readRoute(m)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// readRoute reads a message of rtnetlink(7); ok tells a default route, to anywhere by the main table, from all others. The
// kernel leaves its cached routes out unless it is asked for them.
func readRoute(message []byte) (r route, ok bool, err error) {
	head := nl.DeserializeRtMsg(message)
	if head.Table != unix.RT_TABLE_MAIN || head.Type != unix.RTN_UNICAST || head.Dst_len != 0 || head.Flags&unix.RTM_F_CLONED != 0 {
		return r, false, nil
	}
	attributes, err := nl.ParseRouteAttr(message[head.Len():])
	if err != nil {
		return r, false, err
	}
	r.six = head.Family == unix.AF_INET6
	for _, a := range attributes {
		switch {
		case len(a.Value) < 4:
		case a.Attr.Type == unix.RTA_OIF:
			r.link = int(binary.NativeEndian.Uint32(a.Value))
		case a.Attr.Type == unix.RTA_PRIORITY:
			r.metric = int(binary.NativeEndian.Uint32(a.Value))
		case a.Attr.Type == unix.RTA_MULTIPATH && len(a.Value) >= unix.SizeofRtNexthop && r.link == 0:
			r.link = int(nl.DeserializeRtNexthop(a.Value).RtNexthop.Ifindex)
		}
	}
	return r, r.link != 0, nil
}
