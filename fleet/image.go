package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
)

// Image finds a golden image: by its name on this bench, or by path: a folder as a bench keeps them (image.qcow2, root/),
// or a disk image.
func (b Bench) Image(arg string) (driver.Image, error) {
	path := arg
	if !strings.ContainsRune(arg, filepath.Separator) {
		path = filepath.Join(b.Home, "images", arg)
		if st, err := os.Stat(arg); err == nil && st.Mode().IsRegular() && !exists(path) {
			path = arg
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return driver.Image{}, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return driver.Image{}, b.noImage(arg, err)
	}
	im := driver.Image{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Disk: path}
	if st.IsDir() {
		im = driver.Image{Name: filepath.Base(path), Root: filepath.Join(path, "root"), Disk: filepath.Join(path, "image.qcow2")}
		if !exists(im.Root) {
			im.Root = ""
		}
		if !exists(im.Disk) {
			im.Disk = ""
		}
	}
	if im.Root == "" && im.Disk == "" {
		return im, report.Faultf(report.Usage, "cannot clone %s: neither root nor image.qcow2 is in it", path)
	}
	return im, nil
}

func (b Bench) noImage(arg string, err error) error {
	f := report.Faultf(report.Usage, "cannot find the image %s: %w", arg, err)
	list, _ := os.ReadDir(filepath.Join(b.Home, "images"))
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return f.WithHint("goldsmith bake RECIPE makes one below %s", filepath.Join(b.Home, "images"))
	}
	return f.WithHint("there are: %s", strings.Join(names, ", "))
}

// Imprint reads who the machine was when the image was baked. An image without one is not golden; the zero Imprint
// comes with an error that is os.ErrNotExist.
func (s *State) Imprint() (identity.Imprint, error) {
	var im identity.Imprint
	if s.Image.Root == "" {
		return im, fmt.Errorf("cannot read the imprint of %s: %w", s.Image.Name, os.ErrNotExist)
	}
	b, err := driver.ReadInside(s.Image.Root, identity.ImprintFile)
	if err != nil {
		return im, fmt.Errorf("cannot read the imprint of %s: %w", s.Image.Name, err)
	}
	if err := json.Unmarshal(b, &im); err != nil {
		return im, errors.Join(fmt.Errorf("cannot read the imprint of %s: %w", s.Image.Name, err))
	}
	return im, nil
}
