package driver

import (
	"os"
	"os/exec"

	"goldsmith/firstboot/report"
)

// needRoot says no unless goldsmith runs as root.
func needRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return report.Faultf(report.Usage, "cannot %s: not root", what).WithHint("sudo goldsmith ...")
}

// needTool says no unless the tool is installed, and which Debian package has it.
func needTool(tool, pkg string) error {
	if _, err := exec.LookPath(tool); err == nil {
		return nil
	}
	return report.Faultf(report.Usage, "cannot find %s: it is not installed", tool).WithHint("apt-get install %s", pkg)
}
