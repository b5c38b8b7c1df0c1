package adopt

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// inits are where distributions keep systemd's own program.
var inits = []string{"usr/lib/systemd/systemd", "lib/systemd/systemd"}

// Fits refuses a machine that could not start firstboot: it needs systemd, and a processor that runs the binary.
func Fits(root *tree.FS, binary string) error {
	own, err := os.Open(binary)
	if err != nil {
		return report.Faultf(report.Usage, "cannot read firstboot: %w", err).WithHint("make bin")
	}
	defer own.Close()
	ours, err := processor(own)
	if err != nil {
		return report.Faultf(report.Usage, "cannot use %s as firstboot: %w", binary, err).WithHint("make bin")
	}
	for _, name := range inits {
		f, err := root.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			continue
		}
		theirs, err := processor(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return report.Faultf(report.Refused, "cannot adopt: /%s in the machine is no program: %w", name, err)
		}
		if theirs != ours {
			return report.Faultf(report.Refused, "cannot adopt: the machine has a processor of kind %s, and firstboot is for %s", theirs, ours).
				WithHint("build firstboot for it (GOARCH=... make bin) and name it with --firstboot")
		}
		return nil
	}
	return report.Faultf(report.Refused, "cannot adopt: the machine has no systemd, which starts firstboot on a clone")
}

// processor reads the kind out of the header of a program.
func processor(f io.ReaderAt) (elf.Machine, error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return 0, fmt.Errorf("it is no ELF file: %w", err)
	}
	return e.Machine, nil
}
