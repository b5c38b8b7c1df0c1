package machine

import (
	"os"
	"path/filepath"
)

// removeRuntime removes what systemd-nspawn leaves in /run: it refuses to do so itself where /run is on a disk.
func removeRuntime(name string) {
	for _, kind := range []string{"propagate", "unix-export"} {
		_ = os.Remove(filepath.Join("/run/systemd/nspawn", kind, name)) // empty, or not there
	}
}
