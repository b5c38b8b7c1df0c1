package oned

import (
	"bytes"
	"fmt"

	"goldsmith/firstboot/text"
)

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
		Delete: deleteKey,
		List:   list,
	}
}

// deleteKey is [Delete] for what can be removed without giving another value a new key: no attribute among several.
func deleteKey(data []byte, keyText string) ([]byte, error) {
	f, k, err := parseBoth(data, keyText)
	if err != nil {
		return nil, err
	}
	i := f.find(k)
	if i < 0 {
		return bytes.Clone(data), nil
	}
	a := f.Attrs[i]
	if err := k.fits(a); err != nil {
		return nil, err
	}
	if k.pair != "" && a.index(k.pair) < 0 {
		return bytes.Clone(data), nil
	}
	if len(f.Named(k.name)) > 1 {
		if k.member == "" || k.pair == "" || k.pair == k.member || k.pair == "NAME" || len(a.Pairs) == 1 {
			return nil, fmt.Errorf("cannot delete %s: there are several %s", keyText, k.name)
		}
	}
	return Delete(data, keyText)
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
