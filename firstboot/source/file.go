package source

import "goldsmith/firstboot/identity"

// file reads the claim that somebody put into the image itself.
func (f *finder) file() (*draft, error) {
	data, ok, err := optional(f, identity.ClaimFile)
	if err != nil || !ok {
		return nil, err
	}
	return decode("file "+identity.ClaimFile, data), nil
}
