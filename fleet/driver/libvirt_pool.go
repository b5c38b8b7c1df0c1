package driver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/report"
)

// A machine on another host has its files in a storage pool there: the golden image, which all clones of it share and
// which stays for the next fleet, an overlay of it, and the console log. Its log being a volume, what the machine says is
// kept whether anybody listens or not, and any later goldsmith can fetch it.

func (m Machine) pool() string {
	if m.Pool == "" {
		return defaultPool
	}
	return m.Pool
}

func diskVolume(m Machine) string    { return m.Unit + ".qcow2" }
func consoleVolume(m Machine) string { return m.Unit + ".console" }
func reportsVolume(m Machine) string { return m.Unit + ".reports" }

// machineFiles are the paths of a machine's files where its libvirtd runs.
type machineFiles struct{ disk, console, reports string }

func (l libvirtd) files(ctx context.Context, m Machine) (f machineFiles, err error) {
	if !l.remote() {
		return machineFiles{overlayOf(m), m.Console(), portLogOf(m)}, nil
	}
	for volume, path := range map[string]*string{diskVolume(m): &f.disk, consoleVolume(m): &f.console, reportsVolume(m): &f.reports} {
		if *path, err = l.volumePath(ctx, m, volume); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (l libvirtd) volumePath(ctx context.Context, m Machine, volume string) (string, error) {
	out, err := l.virsh(ctx, "", "vol-path", "--pool", m.pool(), volume)
	return strings.TrimSpace(out), err
}

// checkPool says whether the pool is there, runs, and has room for the image.
func (l libvirtd) checkPool(ctx context.Context, m Machine) error {
	fault := func(err error) *report.Fault {
		return report.Faultf(report.Usage, "cannot use the storage pool %s at %s: %w", m.pool(), l, err).
			WithHint("virsh --connect %s pool-list --all", l)
	}
	out, err := l.virsh(ctx, "", "pool-info", "--bytes", m.pool())
	if err != nil {
		return fault(err).WithHint("virsh --connect %s pool-define-as %s dir --target /var/lib/libvirt/images", l, m.pool()).
			WithHint("--storage-pool NAME")
	}
	info := parseInfo(out)
	if info["State"] != "running" {
		return fault(fmt.Errorf("it is %s", info["State"])).WithHint("virsh --connect %s pool-start %s", l, m.pool())
	}
	base, size, err := baseVolume(m)
	if err != nil {
		return err
	}
	there, err := l.volumes(ctx, m)
	if err != nil {
		return fault(err)
	}
	free, err := strconv.ParseInt(info["Available"], 10, 64)
	if err == nil && free < size && !slices.Contains(there, base+whole) {
		return fault(fmt.Errorf("%d MiB are free, the image takes %d", free>>20, size>>20))
	}
	return backed(m.Image.Disk)
}

// parseInfo reads lines of "Key:   value", as virsh prints them.
func parseInfo(out string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			info[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return info
}

// backed refuses an image that is not whole by itself: what it stands on would not be there.
func backed(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if h, err := qcow2.Read(f); err == nil && h.Backing != "" {
		return report.Faultf(report.Usage, "cannot upload %s: it stands on %s", path, h.Backing).
			WithHint("goldsmith export makes an image that stands alone")
	}
	return nil
}

// checkBridge looks for the bridge among the links that the other host's libvirtd knows: by its driver for interfaces, which asks
// the kernel, or by the one for devices (net_NAME_MAC), which hears of new ones from udev. Not every host has both.
func (l libvirtd) checkBridge(ctx context.Context, bridge string) error {
	device := "net_" + strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == ':' {
			return '_'
		}
		return r
	}, bridge) + "_"
	list, errIfaces := l.virsh(ctx, "", "iface-list", "--all")
	devices, errDevices := l.virsh(ctx, "", "nodedev-list", "--cap", "net")
	if errIfaces != nil && errDevices != nil {
		return fmt.Errorf("cannot look for bridges at %s: %w", l, errors.Join(errIfaces, errDevices))
	}
	for line := range strings.Lines(list + "\n" + devices) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name == bridge || strings.HasPrefix(name, device) {
			return nil
		}
	}
	return report.Faultf(report.Usage, "cannot find the bridge %s at %s", bridge, l).
		WithHint("virsh --connect %s iface-list --all", l)
}

// whole is the end of the name of the volume that says that an image has been uploaded to its last byte.
const whole = ".whole"

// baseVolume names the volume of the golden image by what tells it from another of its name, and returns its size.
func baseVolume(m Machine) (string, int64, error) {
	st, err := os.Stat(m.Image.Disk)
	if err != nil {
		return "", 0, err
	}
	format, _, err := backing(m.Image.Disk)
	if err != nil {
		return "", 0, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d", m.Image.Disk, st.Size(), st.ModTime().UnixNano()))
	return fmt.Sprintf("goldsmith-%s-%x.%s", m.Image.Name, sum[:6], format), st.Size(), nil
}

func (l libvirtd) createVolumes(ctx context.Context, m Machine) error {
	base, err := l.upload(ctx, m)
	if err != nil {
		return err
	}
	format, size, err := backing(m.Image.Disk)
	if err != nil {
		return err
	}
	if _, err := l.virsh(ctx, "", "vol-create-as", m.pool(), diskVolume(m), fmt.Sprint(size, "B"), "--format", "qcow2",
		"--backing-vol", base, "--backing-vol-format", format); err != nil {
		return err
	}
	for _, log := range []string{consoleVolume(m), reportsVolume(m)} {
		if _, err := l.virsh(ctx, "", "vol-create-as", m.pool(), log, "0", "--format", "raw"); err != nil {
			return err
		}
	}
	return nil
}

// upload brings the golden image to the other host, once. Goldsmiths of one bench wait for each other at the image; an
// image that was cut on its way is sent again.
func (l libvirtd) upload(ctx context.Context, m Machine) (base string, err error) {
	f, err := os.Open(m.Image.Disk)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	base, size, err := baseVolume(m)
	if err != nil {
		return "", err
	}
	there, err := l.volumes(ctx, m)
	if err != nil || slices.Contains(there, base+whole) {
		return base, err
	}
	if slices.Contains(there, base) {
		if _, err := l.virsh(ctx, "", "vol-delete", "--pool", m.pool(), base); err != nil {
			return "", err
		}
	}
	format := strings.TrimPrefix(filepath.Ext(base), ".")
	for _, args := range [][]string{
		{"vol-create-as", m.pool(), base, fmt.Sprint(size, "B"), "--format", format},
		{"vol-upload", "--pool", m.pool(), base, m.Image.Disk},
		{"vol-create-as", m.pool(), base + whole, "0", "--format", "raw"},
	} {
		if _, err := l.virsh(ctx, "", args...); err != nil {
			return "", fmt.Errorf("cannot bring the image %s to %s: %w", m.Image.Name, l, err)
		}
	}
	return base, nil
}

// volumes lists the pool as it is on the disk.
func (l libvirtd) volumes(ctx context.Context, m Machine) ([]string, error) {
	if _, err := l.virsh(ctx, "", "pool-refresh", m.pool()); err != nil {
		return nil, err
	}
	out, err := l.virsh(ctx, "", "vol-list", m.pool())
	var names []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 2 {
			names = append(names, f[0])
		}
	}
	return names, err
}

// deleteVolumes removes a machine's own volumes; those that are not there are what is wanted.
func (l libvirtd) deleteVolumes(ctx context.Context, m Machine) error {
	there, err := l.volumes(ctx, m)
	if err != nil {
		return err
	}
	for _, v := range []string{diskVolume(m), consoleVolume(m), reportsVolume(m)} {
		if slices.Contains(there, v) {
			_, e := l.virsh(ctx, "", "vol-delete", "--pool", m.pool(), v)
			err = errors.Join(err, e)
		}
	}
	return err
}

// fetch appends what the logs have gained on the other host to those here.
func (l libvirtd) fetch(ctx context.Context, m Machine) error {
	if err := l.fetchLog(ctx, m, consoleVolume(m), m.Console()); err != nil {
		return err
	}
	return l.fetchLog(ctx, m, reportsVolume(m), portLogOf(m))
}

func (l libvirtd) fetchLog(ctx context.Context, m Machine, volume, path string) error {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := unix.Flock(int(log.Fd()), unix.LOCK_EX); err != nil { // another goldsmith may fetch it as well
		return err
	}
	have, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	part := path + ".part"
	defer os.Remove(part)
	if _, err := l.virsh(ctx, "", "vol-download", "--pool", m.pool(), "--offset", fmt.Sprint(have), volume, part); err != nil {
		return fmt.Errorf("cannot fetch what %s has said: %w", m.Name, err)
	}
	news, err := os.Open(part)
	if err != nil {
		return err
	}
	defer news.Close()
	_, err = io.Copy(log, news)
	return err
}
