package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"goldsmith/firstboot/report"
)

// GRUB is put into an image without grub-install, which wants device nodes, a device map and the running host. What
// grub-install does for a BIOS and a GPT is little (grub 2.06, util/setup.c): boot.img goes into the boot code of the
// first sector and learns where core.img starts; core.img goes into the BIOS boot partition, and its first sector
// learns where the rest of it starts.
const (
	grubDir = "/usr/lib/grub/i386-pc"

	// Offsets in boot.img (include/grub/i386/pc/boot.h).
	bootCodeEnd      = 440  // disk signature and partition table follow
	bootKernelSector = 0x5c // u64: sector of core.img
	bootDriveCheck   = 0x66 // a jump over a fix for BIOSes that pass a wrong drive; grub-install makes it two NOPs

	// Offsets in core.img's first sector, diskboot.img: the list of blocks ends at its end, 12 bytes each.
	blockListStart   = sectorSize - 12 // u64: first sector of the rest
	blockListLength  = sectorSize - 4  // u16: number of sectors of the rest
	blockListSegment = sectorSize - 2  // u16: where it is loaded to, in 16-byte units
	restSegment      = 0x820           // GRUB_BOOT_I386_PC_KERNEL_SEG + 512 bytes

	sectorSize = 512

	maxCore = mib // more than the BIOS boot partition holds
)

// grubModules is what the loader needs to find a kernel on ext4 in a GPT and to talk on a serial line. They are all in
// core.img, so the image needs no module files.
var grubModules = []string{"biosdisk", "part_gpt", "part_msdos", "ext2", "xfs", "btrfs", "gzio", "normal", "configfile",
	"linux", "test", "echo", "ls", "cat", "search", "search_fs_uuid", "search_label", "serial", "terminal", "terminfo",
	"sleep", "reboot", "halt", "minicmd", "loadenv"}

// installGRUB writes the boot loader into disk. The BIOS boot partition starts at sector start and has sectors sectors;
// the loader reads /boot/grub/grub.cfg from GPT partition number root of the disk that it was started from.
func installGRUB(ctx context.Context, disk io.WriterAt, root int, start, sectors uint64) error {
	boot, err := os.ReadFile(filepath.Join(grubDir, "boot.img"))
	if err != nil {
		return report.Faultf(report.Usage, "cannot read boot loader: %w", err).WithHint("apt-get install grub-pc-bin grub-common")
	}
	core, err := grubCore(ctx, root)
	if err != nil {
		return err
	}
	if err := patchGRUB(boot, core, start, sectors); err != nil {
		return fmt.Errorf("cannot install boot loader: %w", err)
	}
	if _, err := disk.WriteAt(boot[:bootCodeEnd], 0); err != nil {
		return fmt.Errorf("cannot write boot sector: %w", err)
	}
	if _, err := disk.WriteAt(core, int64(start)*sectorSize); err != nil {
		return fmt.Errorf("cannot write boot loader: %w", err)
	}
	return nil
}

// grubCore builds core.img. It goes through a file, since grub-mkimage wants to fsync what it writes.
func grubCore(ctx context.Context, root int) ([]byte, error) {
	file, err := nameless(os.TempDir())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	args := append([]string{"--format", "i386-pc", "--output", childFile,
		"--prefix", fmt.Sprintf("(,gpt%d)/boot/grub", root)}, grubModules...)
	cmd := exec.CommandContext(ctx, "grub-mkimage", args...)
	cmd.ExtraFiles = []*os.File{file}
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, report.Faultf(report.Usage, "cannot build boot loader: grub-mkimage: %w: %s", errors.Join(err, ctx.Err()),
			strings.TrimSpace(string(said))).WithHint("apt-get install grub-pc-bin grub-common")
	}
	return io.ReadAll(io.NewSectionReader(file, 0, maxCore))
}

// patchGRUB tells boot.img and core.img where core.img will be.
func patchGRUB(boot, core []byte, start, sectors uint64) error {
	need := uint64(len(core)+sectorSize-1) / sectorSize
	switch {
	case len(boot) != sectorSize:
		return fmt.Errorf("boot.img has %d bytes and not %d", len(boot), sectorSize)
	case len(core) < 2*sectorSize:
		return errors.New("core.img is too short to be one")
	case need > sectors:
		return fmt.Errorf("core.img needs %d sectors, the BIOS boot partition has %d", need, sectors)
	}
	if seg := binary.LittleEndian.Uint16(core[blockListSegment:]); seg != restSegment {
		return fmt.Errorf("core.img is of an unknown layout: it wants to be loaded at segment %#x, not %#x", seg, restSegment)
	}
	binary.LittleEndian.PutUint64(boot[bootKernelSector:], start)
	boot[bootDriveCheck], boot[bootDriveCheck+1] = 0x90, 0x90
	binary.LittleEndian.PutUint64(core[blockListStart:], start+1)
	binary.LittleEndian.PutUint16(core[blockListLength:], uint16(need-1))
	return nil
}
