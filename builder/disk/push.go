package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// push makes the file system in the bytes like the folder, by debugfs, and tells whether there was anything to do.
func (s *stage) push(ctx context.Context) (bool, error) {
	after, err := s.list(false)
	if err != nil {
		return false, err
	}
	p := &pusher{stage: s, ctx: ctx, after: after}
	gone, new := p.differences()
	if len(gone)+len(new) == 0 {
		return false, nil
	}
	for _, name := range append(slices.Clone(gone), new...) {
		if strings.ContainsAny(name, "\n\r\x00") {
			return false, fmt.Errorf("debugfs cannot name %q", name)
		}
	}
	if err := p.look(new); err != nil {
		return false, err
	}
	for _, name := range gone {
		if err := p.remove(name); err != nil {
			return false, err
		}
	}
	for _, name := range new {
		if err := p.put(name); err != nil {
			return false, err
		}
	}
	if err := p.run(); err != nil {
		return false, err
	}
	return true, p.compare(new)
}

// A pusher gathers commands.
type pusher struct {
	*stage
	ctx      context.Context
	after    map[string]fs.FileInfo
	known    map[string]inode // of changed files that were there before, as the image has them
	commands []string
}

// An inode is what a file keeps when its content is written anew.
type inode struct {
	mode, uid, gid uint32
	attrs          []string
}

// differences lists what is gone or became something else, and what is new or changed, parents first.
func (p *pusher) differences() (gone, new []string) {
	for name, was := range p.before {
		if now, ok := p.after[name]; !ok || was.Mode().Type() != now.Mode().Type() {
			if dir, ok := p.after[path.Dir(name)]; path.Dir(name) == "/" || ok && dir.IsDir() { // else it goes with its folder
				gone = append(gone, name)
			}
		}
	}
	for name, now := range p.after {
		was, ok := p.before[name]
		switch {
		case !ok || was.Mode().Type() != now.Mode().Type():
			new = append(new, name)
		case now.IsDir() && (was.Mode() != now.Mode() || owner(was) != owner(now)), !now.IsDir() && changed(was, now):
			new = append(new, name)
		}
	}
	slices.Sort(gone)
	slices.Sort(new)
	return gone, new
}

func owner(i fs.FileInfo) [2]uint32 {
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return [2]uint32{}
	}
	return [2]uint32{st.Uid, st.Gid}
}

// run does what was gathered. One complaint spoils everything.
func (p *pusher) run() error {
	_, wrong, err := p.debugfs(p.ctx, true, p.commands...)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("debugfs: %.400s", strings.Join(wrong, "; "))
	}
	p.commands = nil
	return err
}

func (p *pusher) add(format string, args ...any) {
	p.commands = append(p.commands, fmt.Sprintf(format, args...))
}

var (
	statMode   = regexp.MustCompile(`Type: \w+ +Mode: +(\d+)`)
	statOwners = regexp.MustCompile(`User: +(\d+) +Group: +(\d+)`)
	attrName   = regexp.MustCompile(`(?m)^  ([^ ]+) \(\d+\)`)
)

// look asks the image for owners, modes and attributes of files that will be written anew.
func (p *pusher) look(names []string) error {
	p.known = map[string]inode{}
	for _, name := range names {
		if _, was := p.before[name]; !was {
			continue
		}
		out, wrong, err := p.debugfs(p.ctx, false, "stat "+quote(name), "ea_list "+quote(name))
		mode, owners := statMode.FindStringSubmatch(out), statOwners.FindStringSubmatch(out)
		if err != nil || len(wrong) > 0 || mode == nil || owners == nil {
			return errors.Join(err, fmt.Errorf("cannot read %s of the image: %s", name, strings.Join(wrong, "; ")))
		}
		var n inode
		_, err = fmt.Sscanf(mode[1]+" "+owners[1]+" "+owners[2], "%o %d %d", &n.mode, &n.uid, &n.gid)
		if err != nil {
			return fmt.Errorf("cannot read %s of the image: %w", name, err)
		}
		if _, list, ok := strings.Cut(out, "Extended attributes:\n"); ok {
			for _, m := range attrName.FindAllStringSubmatch(list, -1) {
				n.attrs = append(n.attrs, m[1])
			}
		}
		p.known[name] = n
	}
	return nil
}

// remove removes a file, or a folder with everything in it, also what was never copied out, such as devices.
func (p *pusher) remove(name string) error {
	if !p.before[name].IsDir() {
		p.add("rm %s", quote(name))
		return nil
	}
	return p.removeFolder(name, 0)
}

// maxDepth bounds how deep a folder may be.
const maxDepth = 256

func (p *pusher) removeFolder(name string, depth int) error {
	out, wrong, err := p.debugfs(p.ctx, false, "ls -p "+quote(name))
	if err != nil || len(wrong) > 0 || depth > maxDepth {
		return errors.Join(err, fmt.Errorf("cannot list %s of the image: %s", name, strings.Join(wrong, "; ")))
	}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\n"), "/") // "/inode/mode/uid/gid/name/size/"
		if len(f) != 8 || f[1] == "0" || f[5] == "." || f[5] == ".." {
			continue
		}
		below := name + "/" + f[5]
		if strings.HasPrefix(f[2], "04") {
			err = p.removeFolder(below, depth+1)
		} else {
			p.add("rm %s", quote(below))
		}
		if err != nil {
			return err
		}
	}
	p.add("rmdir %s", quote(name))
	return nil
}

// put writes one file, link or folder.
func (p *pusher) put(name string) error {
	info := p.after[name]
	was, old := p.before[name]
	replaces := old && was.Mode().Type() == info.Mode().Type()
	local := filepath.Join(p.dir, "root", name)
	p.add("cd %s", quote(path.Dir(name)))
	base := quote(path.Base(name))
	switch {
	case info.IsDir():
		if !replaces {
			p.add("mkdir %s", base)
		}
	case info.Mode()&fs.ModeSymlink != 0:
		if replaces {
			p.add("rm %s", base)
		}
		target, err := os.Readlink(local)
		if err != nil {
			return err
		}
		if strings.ContainsAny(target, "\n\r") {
			return fmt.Errorf("debugfs cannot make a link to %q", target)
		}
		p.add("symlink %s %s", base, quote(target))
	case info.Mode().IsRegular():
		if err := p.keepAttrs(name); err != nil {
			return err
		}
		if replaces {
			p.add("rm %s", base)
		}
		p.add("write %s %s", quote(local), base)
	default:
		return fmt.Errorf("debugfs cannot make %s: %s", name, info.Mode())
	}
	return p.describe(name, base, local, info)
}

// keepAttrs saves the extended attributes of a file before it is written anew.
func (p *pusher) keepAttrs(name string) error {
	for n, attr := range p.known[name].attrs {
		p.add("ea_get -f %s %s %s", quote(p.attrFile(name, n)), quote(name), quote(attr))
	}
	return nil
}

func (p *pusher) attrFile(name string, n int) string {
	return filepath.Join(p.dir, fmt.Sprintf("attr-%d-%s", n, strings.ReplaceAll(name, "/", "%")))
}

// describe gives a file its owner, mode, time and attributes.
func (p *pusher) describe(name, base, local string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("cannot describe %s", name)
	}
	n, mode := p.owners(name, info, st), st.Mode
	if info.Mode()&fs.ModeSymlink == 0 {
		if was, known := p.known[name]; known && p.before[name].Mode() == info.Mode() {
			mode = was.mode | st.Mode&unix.S_IFMT
		}
		p.add("sif %s mode 0%o", base, mode)
	}
	p.add("sif %s uid %d", base, n.uid)
	p.add("sif %s gid %d", base, n.gid)
	p.add("sif %s mtime @%d", base, st.Mtim.Sec)
	if !info.Mode().IsRegular() {
		return nil
	}
	for i, attr := range n.attrs {
		p.add("ea_set -f %s %s %s", quote(p.attrFile(name, i)), base, quote(attr))
	}
	return p.newAttrs(name, base, local)
}

// owners are those that the image knows, unless somebody with the right to do so changed them in the folder.
func (p *pusher) owners(name string, info fs.FileInfo, st *syscall.Stat_t) inode {
	n, known := p.known[name]
	if os.Geteuid() != 0 {
		return n
	}
	if known && owner(p.before[name]) == owner(info) {
		return n
	}
	n.uid, n.gid = st.Uid, st.Gid
	return n
}

// newAttrs sets the attributes that were given to a file in the folder. A label that this host gives to everything there is
// not meant for the image.
func (p *pusher) newAttrs(name, base, local string) error {
	for _, attr := range []string{"security.selinux", "security.capability"} {
		value := xattr(local, attr)
		if value == nil || bytes.Equal(value, xattr(filepath.Join(p.dir, "root"), attr)) {
			continue
		}
		file := filepath.Join(p.dir, "new-"+attr+strings.ReplaceAll(name, "/", "%"))
		if err := os.WriteFile(file, value, 0o600); err != nil {
			return err
		}
		p.add("ea_set -f %s %s %s", quote(file), base, quote(attr))
	}
	return nil
}

// compare reads back what was written.
func (p *pusher) compare(names []string) error {
	back := filepath.Join(p.dir, "back")
	for _, name := range names {
		if !p.after[name].Mode().IsRegular() {
			continue
		}
		want, err := os.ReadFile(filepath.Join(p.dir, "root", name))
		if err != nil {
			return err
		}
		if _, wrong, err := p.debugfs(p.ctx, false, "dump "+quote(name)+" "+quote(back)); err != nil || len(wrong) > 0 {
			return errors.Join(err, fmt.Errorf("cannot read %s back: %s", name, strings.Join(wrong, "; ")))
		}
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, want) {
			return errors.Join(err, fmt.Errorf("%s was not written as it should be", name))
		}
	}
	return nil
}

// xattr reads an attribute; nil if there is none.
func xattr(file, attr string) []byte {
	buf := make([]byte, 4096)
	n, err := unix.Lgetxattr(file, attr, buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}
