package builder

import (
	"encoding/json"
	"fmt"

	"github.com/google/renameio/v2"
)

// writeJSON replaces a file in one step, synced.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
