package disk

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Machine is what an OVF asks its platform for.
type Machine struct {
	Name   string
	CPUs   int   // 0: 2
	Memory int64 // bytes; 0: 4 GiB
	NICs   int   // 0: 1
}

func (m Machine) withDefaults(image string) Machine {
	if m.Name == "" {
		m.Name = strings.TrimSuffix(filepath.Base(image), filepath.Ext(image))
	}
	if m.CPUs == 0 {
		m.CPUs = 2
	}
	if m.Memory == 0 {
		m.Memory = 4 << 30
	}
	if m.NICs == 0 {
		m.NICs = 1
	}
	return m
}

// writeOVA writes a tar file of an OVF, its manifest of digests and a stream-optimised VMDK, in the order that the OVF
// specification (DMTF DSP0243) wants.
func (e *Exported) writeOVA(ctx context.Context, src source, out *output, o ExportOptions) error {
	m := o.Machine.withDefaults(o.Out)
	vmdk, err := newOutput(o.Out+".vmdk", true)
	if err != nil {
		return err
	}
	defer vmdk.discard()
	c := ConvertOptions{Format: formatVMDK, Options: []string{"subformat=streamOptimized"}, Progress: o.Progress}
	if err := convert(ctx, src, vmdk.file.Name(), c); err != nil {
		return err
	}
	o.Progress.tell("pack", 0, 0)
	size, sum, err := digest(ctx, vmdk.file.Name())
	if err != nil {
		return err
	}
	disk := m.Name + "-disk1.vmdk"
	ovf, err := renderOVF(m, disk, size, e.Virtual)
	if err != nil {
		return err
	}
	_, ovfSum, err := digestOf(ctx, bytes.NewReader(ovf))
	if err != nil {
		return err
	}
	manifest := fmt.Sprintf("SHA256(%s.ovf)= %s\nSHA256(%s)= %s\n", m.Name, ovfSum, disk, sum)
	data, err := os.Open(vmdk.file.Name())
	if err != nil {
		return err
	}
	defer data.Close()
	t := tar.NewWriter(out.file)
	return errors.Join(
		addToTar(ctx, t, m.Name+".ovf", int64(len(ovf)), bytes.NewReader(ovf)),
		addToTar(ctx, t, m.Name+".mf", int64(len(manifest)), strings.NewReader(manifest)),
		addToTar(ctx, t, disk, size, data),
		t.Close())
}

func addToTar(ctx context.Context, t *tar.Writer, name string, size int64, r io.Reader) error {
	h := &tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Now().Truncate(time.Second), Format: tar.FormatUSTAR}
	if size >= 8<<30 {
		h.Format = tar.FormatGNU // ustar has no room for such a number
	}
	if err := t.WriteHeader(h); err != nil {
		return fmt.Errorf("cannot pack %s: %w", name, err)
	}
	if _, err := io.Copy(t, ctxReader{ctx, r}); err != nil {
		return fmt.Errorf("cannot pack %s: %w", name, err)
	}
	return nil
}

// The part of OVF 1.1 that a machine with one disk needs. Names are those of the schema; prefixes are written out, since
// some readers compare them as text.
type ovfEnvelope struct {
	XMLName    xml.Name   `xml:"Envelope"`
	NS         string     `xml:"xmlns,attr"`
	OVF        string     `xml:"xmlns:ovf,attr"`
	RASD       string     `xml:"xmlns:rasd,attr"`
	VSSD       string     `xml:"xmlns:vssd,attr"`
	References []ovfFile  `xml:"References>File"`
	Disks      ovfDisks   `xml:"DiskSection"`
	Networks   ovfNetwork `xml:"NetworkSection"`
	System     ovfSystem  `xml:"VirtualSystem"`
}

type ovfFile struct {
	Href string `xml:"ovf:href,attr"`
	ID   string `xml:"ovf:id,attr"`
	Size int64  `xml:"ovf:size,attr"`
}

type ovfDisks struct {
	Info string  `xml:"Info"`
	Disk ovfDisk `xml:"Disk"`
}

type ovfDisk struct {
	Capacity int64  `xml:"ovf:capacity,attr"`
	Units    string `xml:"ovf:capacityAllocationUnits,attr"`
	ID       string `xml:"ovf:diskId,attr"`
	File     string `xml:"ovf:fileRef,attr"`
	Format   string `xml:"ovf:format,attr"`
}

type ovfNetwork struct {
	Info    string `xml:"Info"`
	Network struct {
		Name        string `xml:"ovf:name,attr"`
		Description string `xml:"Description"`
	} `xml:"Network"`
}

type ovfSystem struct {
	ID   string `xml:"ovf:id,attr"`
	Info string `xml:"Info"`
	Name string `xml:"Name"`
	OS   struct {
		ID   int    `xml:"ovf:id,attr"`
		Info string `xml:"Info"`
	} `xml:"OperatingSystemSection"`
	Hardware struct {
		Info   string    `xml:"Info"`
		System ovfVSSD   `xml:"System"`
		Items  []ovfItem `xml:"Item"`
	} `xml:"VirtualHardwareSection"`
}

type ovfVSSD struct {
	Name string `xml:"vssd:ElementName"`
	ID   int    `xml:"vssd:InstanceID"`
	Type string `xml:"vssd:VirtualSystemType"`
}

// An ovfItem is a device. The schema wants its parts in alphabetical order.
type ovfItem struct {
	Address    string `xml:"rasd:Address,omitempty"`
	OnParent   string `xml:"rasd:AddressOnParent,omitempty"`
	Units      string `xml:"rasd:AllocationUnits,omitempty"`
	Automatic  string `xml:"rasd:AutomaticAllocation,omitempty"`
	Connection string `xml:"rasd:Connection,omitempty"`
	Name       string `xml:"rasd:ElementName"`
	Host       string `xml:"rasd:HostResource,omitempty"`
	ID         int    `xml:"rasd:InstanceID"`
	Parent     string `xml:"rasd:Parent,omitempty"`
	SubType    string `xml:"rasd:ResourceSubType,omitempty"`
	Type       int    `xml:"rasd:ResourceType"`
	Quantity   int64  `xml:"rasd:VirtualQuantity,omitempty"`
}

// CIM resource types (DSP1041).
const (
	cimCPU = 3 + iota
	cimMemory
	_
	cimSCSI
	cimEthernet = 10
	cimDisk     = 17
	otherLinux  = 101 // CIM operating system type: Linux 2.6.x 64-bit, what all readers know
)

// renderOVF describes the machine.
func renderOVF(m Machine, disk string, fileSize, virtual int64) ([]byte, error) {
	e := ovfEnvelope{
		NS: "http://schemas.dmtf.org/ovf/envelope/1", OVF: "http://schemas.dmtf.org/ovf/envelope/1",
		RASD:       "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
		VSSD:       "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
		References: []ovfFile{{Href: disk, ID: "file1", Size: fileSize}},
		Disks: ovfDisks{"Virtual disks", ovfDisk{virtual, "byte", "vmdisk1", "file1",
			"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"}},
	}
	e.Networks.Info, e.Networks.Network.Name = "Networks", "VM Network"
	e.Networks.Network.Description = "The network that the machine's NICs are in"
	s := &e.System
	s.ID, s.Info, s.Name = m.Name, "A virtual machine", m.Name
	s.OS.ID, s.OS.Info = otherLinux, "Linux"
	s.Hardware.Info = "Virtual hardware"
	s.Hardware.System = ovfVSSD{"Virtual Hardware Family", 0, "vmx-10"}
	s.Hardware.Items = devices(m)
	b, err := xml.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write OVF: %w", err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func devices(m Machine) []ovfItem {
	list := []ovfItem{
		{Name: fmt.Sprintf("%d virtual CPUs", m.CPUs), ID: 1, Type: cimCPU, Quantity: int64(m.CPUs), Units: "hertz * 10^6"},
		{Name: Bytes(m.Memory) + " of memory", ID: 2, Type: cimMemory, Quantity: m.Memory >> 20, Units: "byte * 2^20"},
		{Name: "SCSI controller 0", ID: 3, Type: cimSCSI, SubType: "lsilogic", Address: "0"},
		{Name: "disk 0", ID: 4, Type: cimDisk, Host: "ovf:/disk/vmdisk1", Parent: "3", OnParent: "0"},
	}
	for n := range m.NICs {
		list = append(list, ovfItem{Name: fmt.Sprintf("ethernet%d", n), ID: 5 + n, Type: cimEthernet, SubType: "VmxNet3",
			Connection: "VM Network", Automatic: "true", OnParent: fmt.Sprint(7 + n)})
	}
	return list
}
