package rewriters

// An Entry of the catalogue is a rewriter without its code.
type Entry struct {
	Name   string  `json:"name"`
	Short  string  `json:"short"`
	Phase  Phase   `json:"phase"`
	Base   bool    `json:"base"`
	Owns   []Place `json:"owns"`
	Leaves []Place `json:"leaves"`
}

// Catalogue lists every place that a rewriter owns or leaves alone on purpose, from the tables that the code runs on.
func Catalogue() []Entry {
	var out []Entry
	for _, r := range All() {
		e := Entry{Name: r.Name, Short: r.Short, Phase: r.Phase, Base: r.Base, Owns: []Place{}, Leaves: r.Leaves}
		for _, set := range r.Settings {
			e.Owns = append(e.Owns, Place{Where: set.File, Key: set.Key, Why: set.Why})
		}
		for _, sw := range r.Sweeps {
			e.Owns = append(e.Owns, Place{Where: sw.File, Key: "any value", Why: "an address, name or URL of the golden machine"})
		}
		e.Owns = append(e.Owns, r.Owns...)
		out = append(out, e)
	}
	return out
}
