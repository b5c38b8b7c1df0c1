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
	data, todo := before, false
	for _, c := range changes {
		edited, changed, err := edit(codecs[c.Kind], data, c)
		if err != nil {
			return err
		}
		data, todo = edited, todo || changed
	}
	if !todo {
		return nil
	}
	return store(h, j, name, data, host.Meta{Mode: 0o644})
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
