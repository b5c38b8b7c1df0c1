package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"

	"goldsmith/builder/vm/qemu"
)

// command is QEMU's command line. The network is QEMU's own: it hands out the identity's address to the only machine in
// it, leads to the world for packages, and lets nobody in but through the port for SSH.
func (m *Machine) command() []string {
	id := m.Identity
	net := netip.PrefixFrom(id.Address, id.PrefixLen).Masked()
	argv := []string{
		qemu.Program, "-name", "guest=" + id.Hostname + ",process=goldsmith-bake", "-no-user-config", "-nodefaults",
		"-machine", "q35,accel=" + m.Accel, "-cpu", "max", "-smp", strconv.Itoa(m.CPUs), "-m", fmt.Sprintf("%dM", m.Memory>>20),
		"-display", "none", "-rtc", "base=utc", "-sandbox", "on",
		"-netdev", fmt.Sprintf("user,id=net,ipv6=off,net=%s,dhcpstart=%s,hostname=%s,hostfwd=tcp:127.0.0.1:0-%s:22", net, id.Address, id.Hostname, id.Address),
		"-device", "virtio-net-pci,netdev=net,addr=3,mac=" + id.MAC(""), // a fixed slot is a fixed name: enp0s3
		"-device", "virtio-rng-pci",
		"-smbios", "type=11,value=io.systemd.credential:ssh.authorized_keys.root=" + qemu.Comma(m.key.line),
		// Behind the disks, so that it is the last of /dev/vd*; kernels of cloud images know no other bus than virtio.
		"-drive", "if=none,id=seed,format=raw,readonly=on,file=" + qemu.Comma(m.file("seed.iso")),
		"-device", "virtio-blk-pci,drive=seed,addr=1c",
		"-chardev", "file,id=serial,append=on,path=" + qemu.Comma(m.Console), "-serial", "chardev:serial",
		"-chardev", "socket,id=qmp,server=on,wait=off,path=" + qemu.Comma(m.file("qmp")), "-mon", "chardev=qmp,mode=control",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=ga,server=on,wait=off,path=" + qemu.Comma(m.file("ga")),
		"-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0",
	}
	for i, path := range m.Disks {
		node := fmt.Sprintf("disk%d", i)
		m.nodes = append(m.nodes, node)
		argv = append(argv, "-blockdev", blockdev(node, path),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=goldsmith-%d,bootindex=%d,addr=%d", node, i, i+1, 8+i))
	}
	return argv
}

// blockdev describes a disk in JSON, where a path may hold anything. The guest's flushes stop at this host's memory: what a
// checkpoint holds is synced when it is taken, and what is no checkpoint is thrown away.
func blockdev(node, path string) string {
	cache := map[string]any{"no-flush": true}
	b, err := json.Marshal(map[string]any{
		"driver": "qcow2", "node-name": node, "discard": "unmap", "cache": cache,
		"file": map[string]any{"driver": "file", "filename": path, "discard": "unmap", "cache": cache},
	})
	if err != nil {
		panic("a disk does not marshal: " + err.Error()) // impossible: strings and truths
	}
	return string(b)
}

// forward is a line of "info usernet" (slirp, src/misc.c): protocol, descriptor, address and port here, address and port there.
var forward = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s`)

// parsePort finds the port that was chosen for SSH.
func parsePort(usernet string) (int, error) {
	found := forward.FindStringSubmatch(usernet)
	if found == nil {
		return 0, errors.New("cannot find the machine's port for SSH: QEMU forwards none")
	}
	return strconv.Atoi(found[1])
}
