package main

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"goldsmith/builder"
	"goldsmith/builder/base/fetch"
	"goldsmith/firstboot/report"
	"goldsmith/images"
)

// catalogue is the bench's builder.Catalogue: the images that come with goldsmith, in the cache of a home.
type catalogue struct {
	list fetch.Catalogue
	home string
	log  io.Writer
}

func newCatalogue(home string, log io.Writer) (catalogue, error) {
	list, err := fetch.LoadCatalogue(images.FS)
	return catalogue{list, home, log}, err
}

// Names implements builder.Catalogue.
func (c catalogue) Names() []string { return c.list.Names() }

// Fetch implements builder.Catalogue.
func (c catalogue) Fetch(ctx context.Context, name string, wait func(string, int64, int64)) (builder.BaseImage, error) {
	e, err := c.list.Find(name)
	if err != nil {
		return builder.BaseImage{}, report.Faultf(report.Usage, "%w", err)
	}
	config := filepath.Join(c.home, "images.json")
	f := &fetch.Fetcher{Dir: filepath.Join(c.home, "cache", "images"), Pause: time.Second, Log: c.log,
		Progress: func(done, total int64) { wait("fetch "+name, done, max(total, 0)) }}
	if f.Config, err = fetch.LoadConfig(config); err != nil {
		return builder.BaseImage{}, report.Faultf(report.Usage, "%w", err)
	}
	img, err := f.Fetch(ctx, e)
	if err != nil {
		return builder.BaseImage{}, report.Faultf(report.Stopped, "%w", err).
			WithHint("mirrors, local folders and pinned digests: %s", config)
	}
	return builder.BaseImage{Path: img.Path, Digest: string(img.Digest)}, nil
}
