package rewriters

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
)

// Tell lets the clone's administrator know a secret: it goes to identity.SecretsFile, which only root can read, under a name
// such as "keystone/admin".
func (s *Scene) Tell(name, secret string) {
	if s.told == nil {
		s.told = map[string]string{}
	}
	s.told[name] = secret
}

// writeTold proposes the file. What an earlier phase told stays in it.
func (s *Scene) writeTold() error {
	if len(s.told) == 0 {
		return nil
	}
	all := map[string]string{}
	data, err := s.Host.ReadFile(identity.SecretsFile)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", identity.SecretsFile, err)
	}
	for name, secret := range s.told {
		all[name] = secret
	}
	out, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	s.by = &Rewriter{Name: "secrets"}
	return s.SecretFile(identity.SecretsFile, append(out, '\n'), plan.Meta{Mode: 0o600}, "the clone's own passwords, for its administrator")
}
