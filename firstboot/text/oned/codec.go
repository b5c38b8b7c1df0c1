package oned

import "goldsmith/firstboot/text"

// Codec is the view of a template file as keys and values. List leaves out what oned never reads: a second pair of the
// same name in one vector.
func Codec() text.Codec {
	return text.Codec{
		Name: "oned",
		Get: func(data []byte, key string) (string, bool, error) {
			f, err := Parse(data)
			if err != nil {
				return "", false, err
			}
			return f.Get(key)
		},
		Set:    Set,
		Delete: Delete,
		List:   list,
	}
}

func list(data []byte) ([]text.Entry, error) {
	f, err := Parse(data)
	if err != nil {
		return nil, err
	}
	var out []text.Entry
	for i, a := range f.Attrs {
		key := f.keyOf(i)
		if !a.Vector {
			out = append(out, text.Entry{Key: key, Value: a.Value, Line: a.Line})
		}
		for j, p := range a.Pairs {
			if a.index(p.Name) == j {
				out = append(out, text.Entry{Key: key + "/" + p.Name, Value: p.Value, Line: p.Line})
			}
		}
	}
	return out, nil
}
