package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// Where an oVirt engine answers without a login.
const (
	engineHealth = "/ovirt-engine/services/health"
	engineCA     = "/ovirt-engine/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA"
)

// healthy is what the engine says when it runs and has its database.
const healthy = "DB Up!Welcome to Health Status!"

// engine asks an oVirt engine for its health. engine-setup takes minutes on a clone of an image that holds the packages, so a
// clone that reported success is given its time.
func engine() Probe {
	return Probe{Name: "engine", Question: "is its oVirt engine healthy?", Ask: func(ctx context.Context, t Target) Answer {
		if !t.has("ovirt") {
			return skip("no oVirt engine in this image")
		}
		return t.again(ctx, func() Answer { return askHealth(ctx, t) })
	}}
}

func askHealth(ctx context.Context, t Target) Answer {
	page, a := t.get(ctx, engineHealth)
	if a.Why != "" {
		if _, err := t.ReadFile("/etc/goldsmith/engine-answers.conf"); err == nil {
			return fail("setup", "engine-setup has not ended yet")
		}
		return a
	}
	if got := bytes.TrimSpace(page); string(got) != healthy {
		return fail("unwell", "%s says %.80q, not %q", engineHealth, got, healthy)
	}
	return pass("up")
}

// engineAuthority compares the engines' certificate authorities: with a shared one, who trusts one clone trusts all.
func engineAuthority() Probe {
	return Probe{Name: "engine ca", Question: "is its engine's certificate authority its own?", Ask: func(ctx context.Context, t Target) Answer {
		switch {
		case !t.has("ovirt"):
			return skip("no oVirt engine in this image")
		case slices.Contains(t.Kept, "ovirt/ca") || slices.Contains(t.Kept, "all"):
			return skip("shared by all clones, as the image says (ovirt/ca)")
		}
		return t.again(ctx, func() Answer {
			pem, a := t.get(ctx, engineCA)
			if a.Why != "" {
				return a
			}
			if !bytes.Contains(pem, []byte("BEGIN CERTIFICATE")) {
				return fail("none", "%s is no certificate", engineCA)
			}
			sum := sha256.Sum256(bytes.TrimSpace(pem))
			return pass(hex.EncodeToString(sum[:4]), hex.EncodeToString(sum[:]))
		})
	}}
}

// has tells whether the image's imprint names a stack.
func (t Target) has(stack string) bool { return slices.Contains(t.Stacks, stack) }

// get reads a page of the clone; the answer is a failure, or empty.
func (t Target) get(ctx context.Context, path string) ([]byte, Answer) {
	where := t.url(80, path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, fail("error", "%v", err)
	}
	res, err := t.client().Do(req)
	if err != nil {
		return nil, fail("silent", "%v", err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if to := res.Header.Get("Location"); to != "" {
		return nil, fail(fmt.Sprint(res.StatusCode), "%s sends the visitor to %s", where, to)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fail(fmt.Sprint(res.StatusCode), "%s answers %s", where, res.Status)
	}
	return page, Answer{}
}
