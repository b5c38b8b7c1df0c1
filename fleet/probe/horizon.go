package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// horizon opens the login page at the clone's own address: Django answers 400 to a Host header that it does not know, and
// an Apache that still answers to the old name would send the visitor there.
func horizon() Probe {
	return Probe{Name: "horizon", Question: "does its Horizon answer to its own address?", Ask: askHorizon}
}

// horizonRoots are where distributions hang Horizon: Debian and upstream, Ubuntu, RDO.
var horizonRoots = []string{"", "/horizon", "/dashboard"}

func askHorizon(ctx context.Context, t Target) Answer {
	_, debian := t.ReadFile("/etc/openstack-dashboard/local_settings.py")
	_, rdo := t.ReadFile("/etc/openstack-dashboard/local_settings")
	if debian != nil && rdo != nil {
		return skip("no Horizon in this image")
	}
	return t.again(ctx, func() Answer {
		var first Answer
		for i, root := range horizonRoots {
			a := loginPage(ctx, t, t.url(80, root+"/auth/login/"))
			if a.Why == "" {
				return a
			}
			if i == 0 || first.Show == "404" {
				first = a // the root that is there says more than those that are not
			}
		}
		return first
	})
}

// loginPage passes for a page with Django's form token in it.
func loginPage(ctx context.Context, t Target, where string) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return fail("error", "%v", err)
	}
	res, err := t.client().Do(req)
	if err != nil {
		return fail("silent", "%v", err)
	}
	defer res.Body.Close()
	show := fmt.Sprint(res.StatusCode)
	if to := res.Header.Get("Location"); to != "" {
		return fail(show, "%s sends the visitor to %s", where, to)
	}
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if res.StatusCode != http.StatusOK || err != nil {
		return fail(show, "%s answers %s", where, res.Status)
	}
	if !bytes.Contains(page, []byte("csrfmiddlewaretoken")) {
		return fail(show, "%s is no login page", where)
	}
	return pass(show)
}
