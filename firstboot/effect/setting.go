package effect

import (
	"context"
	"fmt"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
)

// writeSettings makes all edits of one file and writes it once.
func writeSettings(_ context.Context, h *host.Host, j *journal.Journal, changes []plan.Change) error {
	name := changes[0].Where
	before, err := h.ReadFile(name)
	if err != nil {
		return err
	}
	data, todo, err := Edited(before, changes)
	if err != nil || !todo {
		return err
	}
	return store(h, j, name, data, host.Meta{Mode: 0o644})
}

// Edited makes edits of one file's content. todo is false where all of them are made already.
func Edited(data []byte, changes []plan.Change) (edited []byte, todo bool, err error) {
	for _, c := range changes {
		codec, known := codecs[c.Kind]
		if !known {
			return nil, false, fmt.Errorf("%s: a change of kind %s is no edit of a file", c.ID(), c.Kind)
		}
		var changed bool
		if data, changed, err = edit(codec, data, c); err != nil {
			return nil, false, err
		}
		todo = todo || changed
	}
	return data, todo, nil
}

// edit applies one change to a file's content.
func edit(codec text.Codec, data []byte, c plan.Change) ([]byte, bool, error) {
	now, err := value(codec, data, c.Key)
	if err != nil {
		return nil, false, err
	}
	todo, err := swap(c, now)
	if err != nil || !todo {
		return data, false, err
	}
	if !c.Want.Absent {
		data, err = codec.Set(data, c.Key, c.Want.Text)
	} else if codec.Delete != nil {
		data, err = codec.Delete(data, c.Key)
	} else {
		err = fmt.Errorf("format %s has no removal", codec.Name)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", c.ID(), err)
	}
	return data, true, nil
}

func value(codec text.Codec, data []byte, key string) (plan.Value, error) {
	v, ok, err := codec.Get(data, key)
	if err != nil || !ok {
		return plan.Gone, err
	}
	return plan.Text(v), nil
}
