//go:build integration

package disk

import (
	"archive/tar"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/report"
)

func TestGrow(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		for _, l := range []struct{ name, script, root string }{
			{"gpt", gptDisk, "2"},
			{"mbr", "label: dos\nsize=20M, type=c\ntype=83\n", "2"},
			{"no table", "", "disk"},
		} {
			for _, format := range []string{"raw", "qcow2"} {
				t.Run(fs+"/"+l.name+"/"+format, func(t *testing.T) {
					grows(t, handMade(t, fs, l.script, l.root, format), l.root, fs, 1500*mib)
				})
			}
		}
	}
	t.Run("lvm", func(t *testing.T) { grows(t, lvmImage(t, "ext4"), "golden-vg/root", "ext4", 3000*mib) })
	t.Run("lvm xfs", func(t *testing.T) { grows(t, lvmImage(t, "xfs"), "golden-vg/root", "xfs", 3000*mib) })
}

// grows grows an image twice to the same size and checks what came of it.
func grows(t *testing.T, image, root, fs string, size int64) {
	t.Helper()
	before, err := OpenDisk(t.Context(), image, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	old := before.Volumes
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := Grow(t.Context(), image, size, GrowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Grow(t.Context(), image, size, GrowOptions{})
	if err != nil || again.Root != g.Root {
		t.Errorf("a second run: %+v %v", again, err)
	}
	if g.Root-g.RootBefore < size-g.DiskBefore-12*mib || g.Disk != size {
		t.Errorf("grown %+v", g)
	}
	fsck(t, image, root, fs)
	i, err := Open(t.Context(), image, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for n, v := range i.Volumes {
		if v.Offset != old[n].Offset || v.PartUUID != old[n].PartUUID || v.Type != old[n].Type || v.UUID != old[n].UUID {
			t.Errorf("volume %s was %+v and is %+v", v.Name, old[n], v)
		}
	}
	if got, err := i.FS.ReadFile("etc/hostname"); err != nil || string(got) != "golden\n" {
		t.Errorf("host name is %q, %v", got, err)
	}
	if free := freeBytes(t, i); free < size/2 {
		t.Errorf("only %d bytes are free in it", free)
	}
	if i.Table == tableGPT && i.Format == formatRaw {
		if out := must(t, "sgdisk", "-v", image); !strings.Contains(out, "No problems found") {
			t.Errorf("sgdisk -v: %s", out)
		}
	}
	if i.Table == tableMBR && i.Format == formatRaw {
		must(t, "sfdisk", "--verify", image)
	}
}

func TestGrowRefuses(t *testing.T) {
	swapLast := empty(t, scratch(t), 256*mib)
	sfdisk(t, swapLast, "label: gpt\nsize=100M, type=linux\ntype=swap\n")
	mkfs(t, swapLast, "1", "ext4", osFiles(nil))
	fatLast := empty(t, scratch(t), 256*mib)
	sfdisk(t, fatLast, "label: gpt\nsize=100M, type=linux\ntype=uefi\n")
	mkfs(t, fatLast, "1", "ext4", osFiles(nil))
	withDevice(t, fatLast, "2", func(_ *Image, dev string) { must(t, "mkfs.vfat", "-F", "32", dev) })
	logical := handMade(t, "ext4", mbrDisk, "6", "raw")
	for _, c := range []struct {
		name, image string
		size        int64
		want        string
	}{
		{"root is not last", swapLast, 512 * mib, "only the last one can grow"},
		{"fat", fatLast, 512 * mib, "is vfat"},
		{"logical", logical, 1024 * mib, "logical one"},
		{"smaller", swapLast, 100 * mib, "is less"},
	} {
		before := sum(t, c.image)
		_, err := Grow(t.Context(), c.image, c.size, GrowOptions{})
		if report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if sum(t, c.image) != before {
			t.Errorf("%s: the image was changed", c.name)
		}
	}
}

func TestExportToEveryFormat(t *testing.T) {
	for _, from := range []string{"raw", "qcow2"} {
		image := handMade(t, "ext4", gptDisk, "2", from)
		fillAndDelete(t, image)
		before := sum(t, image)
		for _, format := range ExportFormats() {
			t.Run(from+"/"+format, func(t *testing.T) {
				out := filepath.Join(scratch(t), "out."+format)
				e, err := Export(t.Context(), image, ExportOptions{Out: out, Format: format, Machine: Machine{Name: "golden"}})
				if err != nil {
					t.Fatal(err)
				}
				if e.Dropped < 100*mib || e.FileSize > 30*mib && format != "raw" && format != "vhdx" {
					t.Errorf("free blocks were kept: %+v", e)
				}
				if st, err := os.Stat(out); err != nil || blocks(st) > 60*mib {
					t.Errorf("it takes %d bytes, %v", blocks(st), err)
				}
				readsHostname(t, out)
				checkOnly(t, filepath.Dir(out), filepath.Base(out))
			})
		}
		if sum(t, image) != before {
			t.Error("the image was changed")
		}
	}
}

// fillAndDelete leaves 200 MiB of random bytes in free blocks.
func fillAndDelete(t *testing.T, image string) {
	t.Helper()
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	random, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer random.Close()
	if err := i.FS.WriteFrom("var/big", io.LimitReader(random, 200*mib), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if i, err = Open(t.Context(), image, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := i.FS.Remove("var/big"); err != nil {
		t.Fatal(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestExportedImagesAreTheSame(t *testing.T) {
	image := handMade(t, "xfs", gptDisk, "2", "qcow2")
	for _, format := range []string{"qcow2", "vmdk", "vhdx", "raw"} {
		out := filepath.Join(scratch(t), "out")
		if _, err := Export(t.Context(), image, ExportOptions{Out: out, Format: format, KeepFree: true, Zlib: true}); err != nil {
			t.Fatal(err)
		}
		must(t, "qemu-img", "compare", "-f", "qcow2", "-F", format, image, out)
	}
}

func TestOVAIsWhatItsOwnPapersSay(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "raw")
	out := filepath.Join(scratch(t), "vm.ova")
	if _, err := Export(t.Context(), image, ExportOptions{Out: out, Format: "ova", Machine: Machine{CPUs: 3, NICs: 2}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	sums := map[string]string{}
	var manifest, ovf string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if _, sums[h.Name], err = digestOf(t.Context(), strings.NewReader(string(b))); err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(h.Name) {
		case ".mf":
			manifest = string(b)
		case ".ovf":
			ovf = string(b)
		}
	}
	if got := strings.Join(names, " "); got != "vm.ovf vm.mf vm-disk1.vmdk" {
		t.Errorf("it holds %s", got)
	}
	for _, name := range []string{"vm.ovf", "vm-disk1.vmdk"} {
		if want := "SHA256(" + name + ")= " + sums[name] + "\n"; !strings.Contains(manifest, want) {
			t.Errorf("the manifest lacks %q:\n%s", want, manifest)
		}
	}
	checkOVF(t, ovf)
}

// checkOVF reads the OVF by namespaces, as a platform would.
func checkOVF(t *testing.T, text string) {
	t.Helper()
	var e struct {
		XMLName xml.Name `xml:"http://schemas.dmtf.org/ovf/envelope/1 Envelope"`
		File    struct {
			Href string `xml:"http://schemas.dmtf.org/ovf/envelope/1 href,attr"`
		} `xml:"http://schemas.dmtf.org/ovf/envelope/1 References>File"`
		Disk struct {
			Capacity int64 `xml:"http://schemas.dmtf.org/ovf/envelope/1 capacity,attr"`
		} `xml:"http://schemas.dmtf.org/ovf/envelope/1 DiskSection>Disk"`
		Items []struct {
			Type     int   `xml:"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData ResourceType"`
			Quantity int64 `xml:"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData VirtualQuantity"`
		} `xml:"http://schemas.dmtf.org/ovf/envelope/1 VirtualSystem>VirtualHardwareSection>Item"`
	}
	if err := xml.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	found := map[int]int64{}
	for _, item := range e.Items {
		found[item.Type] += max(1, item.Quantity)
	}
	if e.File.Href != "vm-disk1.vmdk" || e.Disk.Capacity != 512*mib || found[3] != 3 || found[4] != 4096 || found[10] != 2 || found[17] != 1 {
		t.Errorf("OVF: %+v %v\n%s", e, found, text)
	}
}

func TestExportRefusesAndLeavesNothing(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "qcow2")
	dir := filepath.Dir(image)
	cancelled, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		name string
		o    ExportOptions
		want string
	}{
		{"format", ExportOptions{Out: filepath.Join(dir, "x"), Format: "vdi"}, `format "vdi"`},
		{"onto itself", ExportOptions{Out: image, Format: "raw"}, "it exists"},
		{"no directory", ExportOptions{Out: filepath.Join(dir, "no", "x"), Format: "raw"}, "no such file"},
		{"cancelled", ExportOptions{Out: filepath.Join(dir, "x"), Format: "ova", Progress: func(p Progress) {
			if p.Phase == "convert" {
				cancel()
			}
		}}, "context canceled"},
	} {
		if _, err := Export(cancelled, image, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		checkOnly(t, dir, "disk.qcow2")
	}
}

func TestCopy(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "raw")
	out := image + ".copy"
	if err := Copy(t.Context(), image, out, false); err != nil {
		t.Fatal(err)
	}
	if sum(t, out) != sum(t, image) {
		t.Error("the copy differs")
	}
	a, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(out)
	if err != nil || blocks(b) > blocks(a)+mib {
		t.Errorf("the copy takes %d bytes, the image %d; %v", blocks(b), blocks(a), err)
	}
	if err := Copy(t.Context(), image, out, false); report.CodeOf(err) != report.Usage {
		t.Errorf("an existing file: %v", err)
	}
}
