package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"goldsmith/builder/audit"
	"goldsmith/builder/checkpoint"
	"goldsmith/builder/disk"
	"goldsmith/builder/layer"
	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/vm"
	"goldsmith/firstboot/report"
)

// A Job is one bake: what is wanted, and how far it is. The wanted part is set by the caller.
type Job struct {
	Recipe    *recipe.Recipe
	Home      Home
	Name      string // of the image
	Version   string // of goldsmith, for the manifest
	Until     string // last phase wanted; "" means all
	Fresh     bool   // do everything anew, also what is cached
	NoProof   bool   // publish without a trial clone
	Firstboot string // path of the firstboot binary
	// Units are the stacks' systemd units that wait until a clone is itself.
	Units  []string
	Prover Prover
	// Owners tells who owns the places where the baked identity stands. It may be nil: then nobody does.
	Owners Ownership
	// Catalogue brings base images; it may be nil where the recipe needs none.
	Catalogue Catalogue
	InUse     func() ([]string, error) // clones that stand on the image of this name now; may be nil
	Tell      func(Event)              // may be nil

	phase    string   // that runs now
	layers   []string // keys of the layers so far
	disks    []string // keys of the checkpoints so far, of a bake in a virtual machine
	base     BaseImage
	machine  *vm.Machine       // that runs
	writing  *checkpoint.Draft // that it, or the phase, writes
	drafts   int               // how many there were
	accel    string            // of the machine, once it has run
	root     string            // the tree, while a layer is made
	extra    any               // what the phase notes in its layer
	record   []PhaseTime
	manifest *Manifest
	done     bool   // the image is there, made from the same inputs
	waits    string // what was told last, and when
	waited   time.Time
	log      io.Writer // of the phase's programs
}

// A Prover clones an image, boots the clone as somebody else and looks whether it became itself.
type Prover interface {
	Prove(ctx context.Context, p ProofRequest) (ProofResult, error)
	// Forget removes what a proof that was killed has left of its clone; dir is the folder of the image.
	Forget(ctx context.Context, dir string) error
}

// A ProofRequest is an image that is not published yet.
type ProofRequest struct {
	Name    string // of the image
	Dir     string // its folder; what the proof makes goes below it, and away again
	Root    string // sealed tree, to be used below an overlay only
	Disk    string
	Timeout time.Duration
	Wait    func(what string) // tells what the proof waits for
}

// A ProofResult is what the trial clone showed.
type ProofResult struct {
	Passed  bool            `json:"passed"`
	Why     string          `json:"why,omitempty"` // it did not pass, or was left out
	Driver  string          `json:"driver,omitempty"`
	Took    time.Duration   `json:"took_ns"`
	Reports []report.Report `json:"reports,omitempty"`
}

// PhaseTime is one phase in the manifest.
type PhaseTime struct {
	Phase  string        `json:"phase"`
	Took   time.Duration `json:"took_ns"` // of making it, also when it came from the cache
	Cached bool          `json:"cached"`
}

// A Manifest says what an image is. It stands beside it.
type Manifest struct {
	Format      int         `json:"format"`
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Key         string      `json:"key"`    // digest of all inputs of the image
	Recipe      string      `json:"recipe"` // sha256
	Goldsmith   string      `json:"goldsmith"`
	Made        time.Time   `json:"made"`
	Stacks      []string    `json:"stacks"`
	Disk        disk.Made   `json:"disk"`
	Disks       []DiskFile  `json:"disks,omitempty"`   // beside the root disk
	Machine     *recipe.VM  `json:"machine,omitempty"` // that it was baked in; clones do well with as much
	Accelerator string      `json:"accelerator"`       // that the bake used: kvm, tcg, or none where it booted no virtual machine
	Sealed      []SealLine  `json:"sealed"`
	Packages    []Package   `json:"packages"`
	Phases      []PhaseTime `json:"phases"`
	// Audit has every place where the baked identity stands, and who owns it.
	Audit *audit.Result `json:"audit,omitempty"`
	Proof ProofResult   `json:"proof"`
}

// A DiskFile is a further disk of the image, beside the manifest.
type DiskFile struct {
	Name        string `json:"name"`
	Path        string `json:"path"`
	VirtualSize int64  `json:"virtual_size"` // bytes
	FileSize    int64  `json:"file_size"`    // bytes
	SHA256      string `json:"sha256"`       // of the file
}

// A SealLine is one sealing operation that found something.
type SealLine struct {
	Operation string   `json:"operation"`
	Paths     []string `json:"paths"`
}

// manifestFormat is the number that manifests of this version carry.
const manifestFormat = 1

// machineName is what the machine of this job is called: short enough for every name made of it.
func (j *Job) machineName() string {
	sum := sha256.Sum256([]byte(j.Home.Dir + "\x00" + j.Name))
	return "gs" + hex.EncodeToString(sum[:4])
}

// spec is the tree of the phase, to run programs in.
func (j *Job) spec(binds ...string) machine.Spec {
	return machine.Spec{Root: j.root, Name: j.machineName(), Binds: binds}
}

// key digests the layers so far and what the next one is made of.
func (j *Job) key(phase string, inputs any) string {
	b, err := json.Marshal(struct {
		Layers []string
		Phase  string
		Inputs any
		Disks  []string `json:",omitempty"`
	}{j.layers, phase, inputs, j.disks})
	if err != nil {
		panic("inputs of a phase do not marshal: " + err.Error()) // impossible: plain types
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:10])
}

// openLog starts the log of a phase anew.
func (j *Job) openLog(phase string) (io.Closer, error) {
	path := j.Home.Log(j.Name, phase)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	j.log = f
	return f, nil
}

// find returns the note of what a phase makes, when it is there.
func (j *Job) find(p Phase, key string) (layer.Note, bool) {
	if p.Disk {
		n, ok := j.Home.Checkpoints().Find(key)
		return n.Note, ok
	}
	return j.Home.Layers().Find(key)
}

// pass goes on from what a phase makes.
func (j *Job) pass(p Phase, key string) {
	if p.Disk {
		j.disks = append(j.disks, key)
	} else {
		j.layers = append(j.layers, key)
	}
}

// mark returns what brings the job back to where it is.
func (j *Job) mark() func() {
	layers, disks := j.layers, j.disks
	return func() { j.layers, j.disks = layers, disks }
}
