package recipe

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goldsmith/firstboot/identity"
)

// A VM is the virtual machine that the steps run in. Its sizes are also what the manifest recommends for clones.
type VM struct {
	CPUs   int      `yaml:"cpus" json:"cpus,omitempty" doc:"processors; default 2"`
	Memory Size     `yaml:"memory" json:"memory,omitempty" doc:"such as 16G; default 2G"`
	Disks  []VMDisk `yaml:"disks" json:"disks,omitempty" doc:"further empty disks, in the order of /dev/vdb, /dev/vdc; each becomes a file of the image"`
}

// A VMDisk is a further disk.
type VMDisk struct {
	Name string `yaml:"name" json:"name" pattern:"^[a-z0-9][a-z0-9-]{0,19}$" doc:"what it is for; its file is called so"`
	Size Size   `yaml:"size" json:"size" doc:"such as 150G"`
}

// An Upload is a file that a step puts into the machine. Exactly one of Source and Image says what is in it.
type Upload struct {
	Source string `yaml:"source" json:"source,omitempty" doc:"file beside the recipe"`
	Image  string `yaml:"image" json:"image,omitempty" doc:"base image of the catalogue, fetched and verified"`
	Path   string `yaml:"path" json:"path" pattern:"^/[^\\n]+$" doc:"absolute path in the machine; folders are made"`
	Mode   Mode   `yaml:"mode" json:"mode,omitempty" doc:"permissions in octal, as text; default \"0644\""`
	SHA256 string `yaml:"sha256" json:"sha256,omitempty" pattern:"^[0-9a-f]{64}$" doc:"of the source; checked when given, filled in when not"`

	file string // where Source was found
}

// File is the path of the source on this host.
func (u Upload) File() string { return u.file }

// An Answers is an installer's answer file, made anew for this bake: complete, checked, with random passwords.
type Answers struct {
	Kind    string   `yaml:"kind" json:"kind" enum:"packstack,engine-setup,hosted-engine" doc:"whose file"`
	Release string   `yaml:"release" json:"release,omitempty" doc:"of the installer, as 'goldsmith answers new --release' takes it"`
	Preset  string   `yaml:"preset" json:"preset,omitempty" doc:"answers that belong together, such as clone-aio"`
	Set     []string `yaml:"set" json:"set,omitempty" doc:"further answers, as KEY=VALUE; they win over the preset"`
	Path    string   `yaml:"path" json:"path" pattern:"^/[^\\n]+$" doc:"where the file goes in the machine, with mode 0600"`
}

// UsesVM says whether the steps run in a virtual machine: the recipe wants one, or begins with a disk image.
func (r *Recipe) UsesVM() bool { return r.VM != nil || r.Base.Image != "" }

func (s Step) needsVM() []string {
	var out []string
	for _, f := range []struct {
		key string
		set bool
	}{{"reboot", s.Reboot}, {"retries", s.Retries > 0}, {"upload", len(s.Upload) > 0}, {"download", len(s.Download) > 0}, {"answers", s.Answers != nil}} {
		if f.set {
			out = append(out, f.key)
		}
	}
	return out
}

// checkVM checks what only virtual machines have, and what they lack.
func (r *Recipe) checkVM(add func(path, format string, args ...any)) {
	if !r.UsesVM() {
		for _, t := range r.Steps {
			for _, key := range t.needsVM() {
				add("steps."+t.Name+"."+key, "needs a virtual machine; add 'vm: {}' to the recipe")
			}
		}
		return
	}
	for _, t := range r.Steps {
		if t.OpenStack != nil {
			add("steps."+t.Name+".openstack", "is for machines without virtualization; leave vm and base.image out")
		}
	}
	if r.Base.Image != "" && len(r.Groups()) > 0 {
		add("packages", "are installed before there is a disk; with base.image, install them in a step")
	}
	seen := map[string]bool{"root": true, "image": true}
	for _, d := range r.VM.Disks {
		if seen[d.Name] {
			add("vm.disks", "%q is there twice, or is the name of the root disk", d.Name)
		}
		seen[d.Name] = true
	}
}

// checkVMItems checks uploads, answers and disks of one file.
func (l Library) checkVMItems(d *document, r *Recipe, s *shape) {
	if r.VM != nil {
		for i, disk := range r.VM.Disks {
			s.need(disk.Name != "", fmt.Sprintf("vm.disks[%d].name", i))
			s.need(disk.Size > 0, fmt.Sprintf("vm.disks[%d].size", i))
		}
	}
	for i := range r.Steps {
		for n := range r.Steps[i].Upload {
			l.checkUpload(d, &r.Steps[i].Upload[n], s, fmt.Sprintf("steps[%d].upload[%d]", i, n))
		}
		for n, p := range r.Steps[i].Download {
			if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
				s.at(fmt.Sprintf("steps[%d].download[%d]", i, n), "%q is not a clean path of a file", p)
			}
		}
		if a := r.Steps[i].Answers; a != nil {
			l.checkAnswers(a, s, fmt.Sprintf("steps[%d].answers", i))
		}
	}
}

func (l Library) checkAnswers(a *Answers, s *shape, p string) {
	s.need(a.Kind != "", p+".kind")
	s.need(a.Path != "", p+".path")
	for i, kv := range a.Set {
		if k, _, ok := strings.Cut(kv, "="); !ok || k == "" {
			s.at(fmt.Sprintf("%s.set[%d]", p, i), "%q is not KEY=VALUE", kv)
		}
	}
	if l.Answers != nil {
		if err := l.Answers(a); err != nil {
			s.at(p, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
}

// checkUpload finds the file and digests it: another content is another step.
func (l Library) checkUpload(d *document, u *Upload, s *shape, p string) {
	s.need(u.Path != "", p+".path")
	if u.Path != "" && (path.Clean(u.Path) != u.Path || u.Path == "/") {
		s.at(p+".path", "%q is not a clean path of a file", u.Path)
	}
	if one(u.Source, u.Image) != 1 {
		s.at(p, "needs exactly one of source, image")
		return
	}
	if u.Image != "" {
		if l.Images != nil && !slices.Contains(l.Images, u.Image) {
			s.at(p+".image", "%q is not in the catalogue, which has %s", u.Image, strings.Join(l.Images, ", "))
		}
		return
	}
	name := path.Clean(u.Source)
	if d.dir == nil || !fs.ValidPath(name) {
		s.at(p+".source", "%q is not below the folder of the recipe", u.Source)
		return
	}
	sum, err := digestOf(d.dir, name)
	s.ok(err, p+".source")
	if err == nil && u.SHA256 != "" && u.SHA256 != sum {
		s.at(p+".sha256", "is not that of %s, which is %s", u.Source, sum)
	}
	u.file, u.SHA256 = filepath.Join(d.path, name), sum
}

func digestOf(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", fmt.Errorf("no such file: %s", name)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func mergeVM(p, c *VM) *VM {
	if p == nil || c == nil {
		return cmp.Or(c, p)
	}
	return &VM{CPUs: cmp.Or(c.CPUs, p.CPUs), Memory: cmp.Or(c.Memory, p.Memory),
		Disks: replace(p.Disks, c.Disks, func(d VMDisk) string { return d.Name })}
}

func (r *Recipe) setVMDefaults() {
	if !r.UsesVM() {
		return
	}
	r.VM = cmp.Or(r.VM, &VM{})
	r.VM.CPUs = cmp.Or(r.VM.CPUs, 2)
	r.VM.Memory = cmp.Or(r.VM.Memory, 2<<30)
	r.Boot.Timeout = cmp.Or(r.Boot.Timeout, identity.Duration(10*time.Minute))
	for i := range r.Steps {
		for n := range r.Steps[i].Upload {
			u := &r.Steps[i].Upload[n]
			u.Mode = cmp.Or(u.Mode, 0o644)
		}
	}
}
