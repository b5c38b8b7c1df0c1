//go:build bench

package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/audit"
	"goldsmith/builder/disk"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

var tableFile = flag.String("table", "", "write the table of peers into `FILE`, between its two marks")

// peerTools are the peers, and the Debian packages that have them. Only this benchmark needs them.
var peerTools = map[string]string{
	"virt-customize": "guestfs-tools", "virt-sysprep": "guestfs-tools", "guestfish": "guestfish", "qemu-img": "qemu-utils", "grep": "grep",
}

// A contest is one job done by goldsmith and by others, in one run on one machine.
type contest struct {
	job   string
	rows  []timing
	notes string
}

type timing struct {
	who  string
	took time.Duration // median
	runs int
}

// TestPeers times goldsmith beside the tools that people use for the same. Only the ratios of one run mean something.
func TestPeers(t *testing.T) {
	needTools(t)
	dir := benchDir(t)
	image := peerImage(t, dir, "/var/cache/goldsmith/test-tree")
	list := []contest{
		injectContest(t, dir, image),
		sealContest(t, dir, image),
		overlayContest(t, dir, image),
		exportContest(t, dir, image),
		auditContest(t, dir),
	}
	table := renderContests(list)
	t.Logf("\n%s", table)
	if *tableFile != "" {
		putTable(t, *tableFile, table)
	}
}

func needTools(t *testing.T) {
	t.Helper()
	var missing []string
	for tool, pkg := range peerTools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, pkg)
		}
	}
	kernels, _ := filepath.Glob("/boot/vmlinuz-*")
	if len(kernels) == 0 {
		missing = append(missing, "linux-image-cloud-amd64") // which libguestfs boots
	}
	slices.Sort(missing)
	if missing = slices.Compact(missing); len(missing) > 0 {
		t.Fatalf("peers are missing: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
}

func benchDir(t *testing.T) string {
	t.Helper()
	where := cmp.Or(os.Getenv("BENCH_DIR"), "/var/tmp")
	if err := disk.CheckRoom(where, 8<<30); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(where, "gs-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// tool runs a program. libguestfs is told to do without libvirt, and to emulate where there is no KVM.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LIBGUESTFS_BACKEND=direct")
	if _, err := os.Stat("/dev/kvm"); err != nil {
		cmd.Env = append(cmd.Env, "LIBGUESTFS_BACKEND_SETTINGS=force_tcg")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// peerImage is a qcow2 of 2 GiB with a whole small system in it, such as libguestfs recognises.
func peerImage(t *testing.T, dir, tree string) string {
	t.Helper()
	raw, image := filepath.Join(dir, "raw"), filepath.Join(dir, "image.qcow2")
	tool(t, "truncate", "-s", "2G", raw)
	tool(t, "mkfs.ext4", "-q", "-F", "-d", tree, raw)
	tool(t, "qemu-img", "convert", "-O", "qcow2", raw, image)
	check(t, os.Remove(raw))
	tool(t, "sync", image)
	return image
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// median times a job several times. before is not timed.
func median(t *testing.T, who string, runs int, before, job func()) timing {
	t.Helper()
	var all []time.Duration
	for range runs {
		if before != nil {
			before()
		}
		began := time.Now()
		job()
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	t.Logf("%s: %v", who, all)
	return timing{who, all[len(all)/2], runs}
}

const ourRuns = 7

func injectContest(t *testing.T, dir, image string) contest {
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, bytes.Repeat([]byte("firstboot"), 1<<20), 0o755))
	ours := median(t, "goldsmith", ourRuns, nil, func() {
		data, err := os.ReadFile(file)
		check(t, err)
		i, err := disk.Open(t.Context(), image, disk.Options{})
		check(t, err)
		check(t, i.FS.WriteFile("usr/bin/file", data, 0o755))
		check(t, i.Close())
	})
	tool(t, "qemu-img", "check", image)
	tool(t, "guestfish", "-a", image, "-i", "exit") // makes the appliance, once for all
	return contest{job: "put a file of 9 MiB into a qcow2 of 2 GiB", rows: []timing{ours,
		median(t, "guestfish", 1, nil, func() { tool(t, "guestfish", "-a", image, "-i", "upload", file, "/usr/bin/file") }),
		median(t, "virt-customize", 1, nil, func() { tool(t, "virt-customize", "-q", "-a", image, "--upload", file+":/usr/bin/file") }),
	}}
}

func sealContest(t *testing.T, dir, image string) contest {
	bin, err := filepath.Abs("../../bin/goldsmith")
	check(t, err)
	sealed := filepath.Join(dir, "sealed.qcow2")
	anew := func() {
		tool(t, "cp", "--reflink=auto", image, sealed)
		tool(t, "sync", sealed) // or who syncs first pays for the copy
	}
	c := contest{job: "seal", notes: "the same qcow2; all operations that each does by default", rows: []timing{
		median(t, "goldsmith seal --in-place", ourRuns, anew, func() { tool(t, bin, "seal", "--in-place", sealed) }),
		median(t, "virt-sysprep", 1, anew, func() { tool(t, "virt-sysprep", "-q", "-a", sealed) }),
	}}
	check(t, os.Remove(sealed))
	return c
}

func overlayContest(t *testing.T, dir, image string) contest {
	folder := filepath.Join(dir, "overlays")
	each := func(one func(name string)) func() {
		return func() {
			for n := range 100 {
				one(filepath.Join(folder, fmt.Sprint(n)))
			}
		}
	}
	anew := func() {
		check(t, os.RemoveAll(folder))
		check(t, os.Mkdir(folder, 0o755))
	}
	return contest{job: "100 overlays", rows: []timing{
		median(t, "goldsmith", ourRuns, anew, each(func(name string) { check(t, disk.CreateOverlay(name, image, disk.OverlayOptions{})) })),
		median(t, "qemu-img create", 3, anew, each(func(name string) {
			tool(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", name)
		})),
	}}
}

func exportContest(t *testing.T, dir, image string) contest {
	bin, err := filepath.Abs("../../bin/goldsmith")
	check(t, err)
	out := filepath.Join(dir, "out.qcow2")
	anew := func() { _ = os.Remove(out) }
	sizes := map[string]int64{}
	size := func(who string) {
		st, err := os.Stat(out)
		check(t, err)
		sizes[who] = st.Size() >> 20
	}
	c := contest{job: "export to a compressed qcow2", rows: []timing{
		median(t, "goldsmith export", 3, anew, func() { tool(t, bin, "export", "-q", "-f", "qcow2", "-o", out, image); size("goldsmith") }),
		median(t, "qemu-img convert -c, zstd", 3, anew, func() {
			tool(t, "qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", image, out)
			size("zstd")
		}),
		median(t, "qemu-img convert -c", 3, anew, func() { tool(t, "qemu-img", "convert", "-c", "-O", "qcow2", image, out); size("zlib") }),
	}}
	c.notes = fmt.Sprintf("%d, %d and %d MiB; ours looks for free blocks and digests the result, too", sizes["goldsmith"], sizes["zstd"], sizes["zlib"])
	return c
}

// auditContest searches a mounted image of 4 GiB, in the page cache, where reading is fastest and searching weighs most.
func auditContest(t *testing.T, dir string) contest {
	raw, image := filepath.Join(dir, "big.raw"), filepath.Join(dir, "big.qcow2")
	src := filepath.Join(dir, "src")
	for _, d := range []string{"usr/bin", "usr/sbin", "usr/share", "usr/lib/x86_64-linux-gnu", "etc", "var/lib/dpkg"} {
		check(t, os.MkdirAll(filepath.Join(src, filepath.Dir(d)), 0o755))
		tool(t, "cp", "-a", "--reflink=auto", "/"+d, filepath.Join(src, d))
	}
	tool(t, "truncate", "-s", "6G", raw)
	tool(t, "mkfs.ext4", "-q", "-F", "-d", src, raw)
	check(t, os.RemoveAll(src))
	tool(t, "qemu-img", "convert", "-O", "qcow2", raw, image)
	defer os.Remove(image)
	check(t, os.Remove(raw))

	i, err := disk.Open(t.Context(), image, disk.Options{ReadOnly: true})
	check(t, err)
	defer i.Close()
	needles := audit.Needles(identity.Marker())
	size := readOnce(t, i.FS) // into the page cache
	var got *audit.Result
	var c contest
	reading := median(t, "reading every file once", 3, nil, func() { readOnce(t, i.FS) })
	c.rows = append(c.rows, median(t, "goldsmith audit", 3, nil, func() {
		got, err = audit.Tree(context.Background(), i.FS, audit.Options{Needles: needles})
		check(t, err)
	}), reading)
	c.rows = append(c.rows, median(t, "grep -rF, plain forms only", 3, nil, func() {
		args := []string{"-rlaF"}
		for _, n := range needles {
			args = append(args, "-e", n.Value)
		}
		_ = exec.Command("grep", append(args, fmt.Sprintf("/proc/%d/fd/%d/", os.Getpid(), i.FS.Fd()))...).Run() // finding nothing is status 1
	}))
	c.job = fmt.Sprintf("search %d files, %d MiB, for an identity", got.Files, size>>20)
	c.notes = fmt.Sprintf("all in the page cache; %d needles in every encoding", len(needles))
	used := auditMemory(t, image)
	c.notes += fmt.Sprintf("; at most %d MiB of memory", used>>20)
	if used > 200e6 {
		t.Errorf("an audit took %d MiB of memory", used>>20)
	}
	if got.Bytes < size*9/10 {
		t.Errorf("only %d of %d bytes were searched", got.Bytes, size)
	}
	return c
}

// auditMemory is the most that the program takes for an audit of an image, in bytes. A process inherits the peak of the one that
// starts it (Linux: setmax_mm_hiwater_rss at execve), so a small one asks, not this test.
func auditMemory(t *testing.T, image string) int64 {
	t.Helper()
	const ask = `import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code not in (0, 5))`
	out, err := exec.Command("python3", "-c", ask, "../../bin/goldsmith", "audit", "-q", image, "--needle", "name="+identity.Marker().Hostname,
		"--needle", "address=198.51.100.77").Output()
	check(t, err)
	kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	check(t, err)
	return kib << 10
}

// readOnce reads every file of a tree, in one thread.
func readOnce(t *testing.T, root *tree.FS) int64 {
	t.Helper()
	var sum int64
	buf := make([]byte, 1<<20)
	check(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
		sum += n
		return err
	}))
	return sum
}

// renderContests makes a table for people: each row against goldsmith's.
func renderContests(list []contest) string {
	var b strings.Builder
	b.WriteString("| job | by | time | against goldsmith |\n|---|---|---|---|\n")
	for _, c := range list {
		job := c.job
		if c.notes != "" {
			job += " (" + c.notes + ")"
		}
		for _, r := range c.rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", job, r.who, short(r.took), factor(r.took, c.rows[0].took))
			job = ""
		}
	}
	return b.String()
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func factor(d, ours time.Duration) string {
	if d == ours {
		return "1"
	}
	if f := d.Seconds() / ours.Seconds(); f >= 10 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.2g", d.Seconds()/ours.Seconds())
}

const tableMark = "<!-- table: make bench writes it -->\n"

func putTable(t *testing.T, file, table string) {
	t.Helper()
	b, err := os.ReadFile(file)
	check(t, err)
	parts := strings.Split(string(b), tableMark)
	if len(parts) != 3 {
		t.Fatalf("%s has not two marks", file)
	}
	check(t, os.WriteFile(file, []byte(parts[0]+tableMark+"\n"+table+"\n"+tableMark+parts[2]), 0o644))
}
