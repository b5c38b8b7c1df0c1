package firstboot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"time"

	"goldsmith/firstboot/cut"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters"
)

// stateFormat is the number of the state file's layout.
const stateFormat = 1

// maxOld bounds the identities that are remembered; the baked one is not among them, it is in the imprint.
const maxOld = 64

// A State is what firstboot remembers between runs: identity.StateFile, 0600, because the seed makes all secrets.
type State struct {
	Format int            `json:"format"`
	Seed   rewriters.Seed `json:"seed"`
	Born   time.Time      `json:"born"` // when the seed was made
	// Cluster makes the secrets that the nodes of a cluster share. It is taken when a life begins, and kept.
	Cluster rewriters.Seed `json:"cluster,omitempty"`
	Machine Factors        `json:"machine"`
	// Lives are the machine ids that the disk had when it woke up in another machine.
	Lives []string `json:"lives,omitempty"`
	// Begun are the seeds of lives that were cut before they converged. Their passwords may stand in some places.
	Begun []rewriters.Seed `json:"begun,omitempty"`
	// Old holds every identity that was begun on this disk. It is written before the first change of a run.
	Old []identity.Identity `json:"old"`
	// Converged says, per phase, what was reached last.
	Converged map[rewriters.Phase]Converged `json:"converged"`
}

// Factors are what tells one machine from its clone. No single one is enough: some hypervisors keep the SMBIOS UUID in a
// clone, some change it without one, a NIC can be swapped.
type Factors struct {
	SystemUUID string   `json:"system_uuid,omitempty"`
	Instance   string   `json:"instance,omitempty"`
	MACs       []string `json:"macs,omitempty"`
}

// Converged is a phase that was applied and verified.
type Converged struct {
	Identity identity.Identity `json:"identity"`
	Seed     string            `json:"seed"`   // fingerprint of the seed that its secrets come from
	Binary   string            `json:"binary"` // version of the firstboot that did it
	Files    Stamps            `json:"files"`  // what its rewriters looked at
}

// Reached returns the identity that a phase reached last on a machine; the zero Identity when it has reached none.
func Reached(h *host.Host, phase rewriters.Phase) (identity.Identity, error) {
	s, err := loadState(h)
	if err != nil {
		return identity.Identity{}, err
	}
	return s.Converged[phase].Identity, nil
}

// loadState reads the state; a machine without one gets a new seed.
func loadState(h *host.Host) (*State, error) {
	data, err := h.ReadFile(identity.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Format: stateFormat, Converged: map[rewriters.Phase]Converged{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read state: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", identity.StateFile, err)
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("cannot read %s: format %d is not ours", identity.StateFile, s.Format)
	}
	if s.Converged == nil {
		s.Converged = map[rewriters.Phase]Converged{}
	}
	return &s, nil
}

func (s *State) save(h *host.Host) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := h.MkdirAll(identity.StateDir, 0o700); err != nil {
		return err
	}
	return h.Replace(identity.StateFile, append(b, '\n'), host.Meta{Mode: 0o600})
}

// renew gives the state a seed of its own when there is none or when the disk woke up in another machine. It returns the
// reason, or "" when nothing changed. The machine id that stands there at such a moment is that of the life before.
func (s *State) renew(now Factors, machineID, cluster string, at time.Time) (string, error) {
	why := s.Machine.differs(now)
	switch {
	case len(s.Seed) == 0:
		why = "first boot"
	case why == "":
		s.Machine.update(now)
		return "", nil
	default:
		s.end(machineID)
	}
	s.Seed = make([]byte, 32)
	if err := cut.Random(s.Seed, fmt.Sprint(now)); err != nil {
		return "", fmt.Errorf("cannot make a seed: %w", err)
	}
	s.Born, s.Machine, s.Cluster = at.UTC().Truncate(time.Second), now, rewriters.ClusterSeed(cluster)
	return why, nil
}

// end closes the life that the disk had: its machine id is an old one, and its seed matters where it was cut.
func (s *State) end(machineID string) {
	if machineID != "" {
		s.Lives = append(s.Lives, machineID)
	}
	if s.Converged[rewriters.Stack].Seed != seedID(s.Seed) {
		s.Begun = append(s.Begun, s.Seed)
		if s.Cluster != nil {
			s.Begun = append(s.Begun, s.Cluster)
		}
	}
}

// differs tells why now is another machine than f, or returns "". A changed UUID or instance id is a clone. Changed MACs
// are one only where there is nothing better to go by: with the same UUID it is a swapped NIC, which gets new MACs in its
// configuration but keeps its secrets.
func (f Factors) differs(now Factors) string {
	switch {
	case f.Instance != now.Instance && now.Instance != "":
		return "instance id changed"
	case f.SystemUUID != now.SystemUUID && now.SystemUUID != "":
		return "SMBIOS UUID changed"
	case now.SystemUUID == "" && now.Instance == "" && len(now.MACs) > 0 && !overlap(f.MACs, now.MACs):
		return "all hardware addresses changed"
	}
	return ""
}

// update takes over what is known now; what nobody tells any more stays.
func (f *Factors) update(now Factors) {
	if now.Instance != "" {
		f.Instance = now.Instance
	}
	if now.SystemUUID != "" {
		f.SystemUUID = now.SystemUUID
	}
	if len(now.MACs) > 0 {
		f.MACs = now.MACs
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

// remember adds an identity to the old ones. The newest is last.
func (s *State) remember(id identity.Identity) {
	s.Old = slices.DeleteFunc(s.Old, func(o identity.Identity) bool { return reflect.DeepEqual(o, id) })
	s.Old = append(s.Old, id)
	if len(s.Old) > maxOld {
		s.Old = s.Old[len(s.Old)-maxOld:]
	}
}

// seedID names a seed without telling it.
func seedID(s rewriters.Seed) string {
	sum := sha256.Sum256(append([]byte("goldsmith seed id "), s...))
	return hex.EncodeToString(sum[:8])
}
