package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/volume"
)

// Stamps are the files and patterns that a plan was made from, each with a mark that changes when the file does. As long
// as all marks hold and the identity is the same, a plan made again would be empty; looking costs a stat per file.
type Stamps map[string]string

// recorder notes what rewriters look at.
type recorder struct {
	host.Reader
	seen Stamps
}

func (r recorder) ReadFile(name string) ([]byte, error) {
	r.seen[name] = stampOf(r.Reader, name)
	return r.Reader.ReadFile(name)
}

func (r recorder) Glob(pattern string) ([]string, error) {
	list, err := r.Reader.Glob(pattern)
	r.seen["glob:"+pattern] = strings.Join(list, "\n")
	return list, err
}

// rootStamp is under what name the root file system is noted.
const rootStamp = "root file system"

// Root notes how much of its disk the root file system takes.
func (r recorder) Root() (*volume.Root, error) {
	r.seen[rootStamp] = rootMark(r.Reader)
	return r.Reader.Root()
}

func rootMark(h host.Reader) string {
	v, err := h.Root()
	if v == nil || err != nil {
		return fmt.Sprint(err)
	}
	return v.String()
}

// stampOf marks one file: size, inode, change time. Change time, because it cannot be set back.
func stampOf(h host.Reader, name string) string {
	info, err := h.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		return err.Error()
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	return fmt.Sprintf("%d:%d:%d.%d", st.Size, st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
}

// hold tells whether every mark is still right, and names the first that is not.
func (s Stamps) hold(h host.Reader) (string, bool) {
	for name, mark := range s {
		if pattern, ok := strings.CutPrefix(name, "glob:"); ok {
			list, err := h.Glob(pattern)
			if err != nil || strings.Join(list, "\n") != mark {
				return name, false
			}
			continue
		}
		now := ""
		if name == rootStamp {
			now = rootMark(h)
		} else {
			now = stampOf(h, name)
		}
		if now != mark {
			return name, false
		}
	}
	return "", true
}

// Unrecorded returns the machine for a search, in which what was looked at is no reason to look again.
func (r recorder) Unrecorded() host.Reader { return r.Reader }
