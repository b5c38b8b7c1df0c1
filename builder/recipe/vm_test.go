package recipe

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/identity"
)

// sum is the digest in a message.
var sum = regexp.MustCompile("which is [0-9a-f]{64}")

// TestVMMistakes shows what is refused of recipes that bake in a virtual machine, and of those that do not.
func TestVMMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"reboot without a machine": {"name: a\nextends: tiny\nsteps:\n- {name: x, reboot: true, retries: 1}\n", []string{
			"0: steps.x.reboot: needs a virtual machine; add 'vm: {}' to the recipe",
			"0: steps.x.retries: needs a virtual machine; add 'vm: {}' to the recipe",
		}},
		"openstack in a machine": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- {name: x, openstack: {services: [keystone]}}\n", []string{
			"0: steps.x.openstack: is for machines without virtualization; leave vm and base.image out",
		}},
		"packages over an image": {"name: a\nbase: {image: b}\npackages: [vim]\n", []string{
			"0: packages: are installed before there is a disk; with base.image, install them in a step",
		}},
		"disk without a size, twice": {"name: a\nextends: tiny\nvm: {disks: [{name: d}]}\n", []string{"3: vm.disks[0].size: is missing"}},
		"disk of a taken name": {"name: a\nextends: tiny\nvm: {disks: [{name: image, size: 1G}]}\n", []string{
			`0: vm.disks: "image" is there twice, or is the name of the root disk`,
		}},
		"upload of nothing and to nowhere": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  upload:\n  - {path: /a/}\n  - {source: b}\n", []string{
			`7: steps[0].upload[0].path: "/a/" is not a clean path of a file`,
			"8: steps[0].upload[1].path: is missing",
			"8: steps[0].upload[1].source: no such file: b",
		}},
		"upload from outside": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  upload: [{source: ../b, path: /b}]\n", []string{
			`6: steps[0].upload[0].source: "../b" is not below the folder of the recipe`,
		}},
		"download of a folder": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- {name: x, run: y, download: [var/log]}\n", []string{
			`5: steps[0].download[0]: "var/log" is not a clean path of a file`,
		}},
		"answers without a kind": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  answers: {path: /a, set: [B]}\n", []string{
			"6: steps[0].answers.kind: is missing",
			`6: steps[0].answers.set[0]: "B" is not KEY=VALUE`,
		}},
		"answers that the installer does not take": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  answers: {kind: packstack, path: /a}\n", []string{
			"6: steps[0].answers: no; not at all",
		}},
		"upload of an unknown image": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  upload: [{image: none, path: /b}]\n", []string{
			`6: steps[0].upload[0].image: "none" is not in the catalogue, which has some`,
		}},
		"field that is no key": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  upload: [{source: b, path: /b, '': c}]\n", []string{
			"6: steps[0].upload[0].: unknown key, known here: source, image, path, mode, sha256",
		}},
		"file of another content": {"name: a\nextends: tiny\nvm: {}\nsteps:\n- name: x\n  upload: [{source: recipe.yaml, path: /b, sha256: '" + strings.Repeat("0", 64) + "'}]\n", []string{
			"6: steps[0].upload[0].sha256: is not that of recipe.yaml, which is @",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := library()
			l.Images, l.Answers = []string{"some"}, func(*Answers) error { return errors.New("no\nnot at all") }
			_, err := l.Load(write(t, map[string]string{"recipe.yaml": c.yaml}))
			var got []string
			for _, m := range mistakes(err) {
				text := strings.TrimPrefix(m.String(), m.File+":")
				if m.Line == 0 {
					text = "0:" + text
				}
				text = sum.ReplaceAllString(text, "which is @")
				got = append(got, text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestVMDefaults(t *testing.T) {
	r, err := library().Load(write(t, map[string]string{"b": "content", "recipe.yaml": `
name: a
base: {image: some}
steps:
- {name: x, upload: [{source: b, path: /b}]}
- {name: y, reboot: true}
`}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&VM{CPUs: 2, Memory: 2 << 30}, r.VM); diff != "" {
		t.Error(diff)
	}
	if r.Boot.Timeout != identity.Duration(10*time.Minute) {
		t.Errorf("boot timeout %v", r.Boot.Timeout)
	}
	u := r.Steps[0].Upload[0]
	const sum = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" // of "content"
	if u.Mode != 0o644 || u.SHA256 != sum || !strings.HasSuffix(u.File(), "/b") {
		t.Errorf("upload %+v", u)
	}
}

// TestVMOfParent shows that a child may change one size of its parent's machine.
func TestVMOfParent(t *testing.T) {
	p := &VM{CPUs: 8, Memory: 16 << 30, Disks: []VMDisk{{"cinder", 150 << 30}}}
	want := &VM{CPUs: 8, Memory: 8 << 30, Disks: []VMDisk{{"cinder", 20 << 30}}}
	if diff := cmp.Diff(want, mergeVM(p, &VM{Memory: 8 << 30, Disks: []VMDisk{{"cinder", 20 << 30}}})); diff != "" {
		t.Error(diff)
	}
	if got := mergeVM(p, nil); got != p {
		t.Errorf("got %v", got)
	}
	if got := mergeVM(nil, p); got != p {
		t.Errorf("got %v", got)
	}
}
