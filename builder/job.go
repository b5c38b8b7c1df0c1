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

	"goldsmith/builder/disk"
	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
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
	InUse  func() ([]string, error) // clones that stand on the image of this name now; may be nil
	Tell   func(Event)              // may be nil

	phase    string   // that runs now
	layers   []string // keys of the layers so far
	root     string   // the tree, while a layer is made
	extra    any      // what the phase notes in its layer
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
	Accelerator string      `json:"accelerator"` // that the bake used: none, since it boots no virtual machine
	Sealed      []SealLine  `json:"sealed"`
	Packages    []Package   `json:"packages"`
	Phases      []PhaseTime `json:"phases"`
	Proof       ProofResult `json:"proof"`
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
	}{j.layers, phase, inputs})
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
