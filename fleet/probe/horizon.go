package probe

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// horizon opens the login page at the clone's own address: Django answers 400 to a Host header that it does not know, and
// an Apache that still answers to the old name would send the visitor there. Then it logs in as a browser does, which needs
// the form's token, the cookies, and a keystone that Horizon finds and that knows the clone's own password.
func horizon() Probe {
	return Probe{Name: "horizon", Question: "does its Horizon answer to its own address, and let its administrator in?", Ask: askHorizon}
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
			v := t.visitor()
			a := v.loginPage(ctx, t.url(80, root+"/auth/login/"))
			if a.Why == "" {
				return v.login(ctx, t, t.url(80, root+"/auth/login/"))
			}
			if i == 0 || first.Show == "404" {
				first = a // the root that is there says more than those that are not
			}
		}
		return first
	})
}

// A visitor is a browser: it keeps cookies, and the form of the page that it is on.
type visitor struct {
	client *http.Client
	form   url.Values
}

func (t Target) visitor() *visitor {
	v := &visitor{client: t.client(), form: url.Values{}}
	v.client.Jar, _ = cookiejar.New(nil) // fails for no list of domains
	v.client.Timeout = requestTime
	return v
}

// hidden finds the fields that a form sends along unseen, in any order of their attributes.
var (
	hidden    = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*>`)
	attribute = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
)

// readForm takes the hidden fields of a page.
func (v *visitor) readForm(page []byte) {
	for _, field := range hidden.FindAll(page, -1) {
		attr := map[string]string{}
		for _, m := range attribute.FindAllSubmatch(field, -1) {
			attr[string(m[1])] = html.UnescapeString(string(m[2]))
		}
		if attr["name"] != "" {
			v.form.Set(attr["name"], attr["value"])
		}
	}
}

// loginPage passes for a page with Django's form token in it.
func (v *visitor) loginPage(ctx context.Context, where string) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return fail("error", "%v", err)
	}
	res, err := v.client.Do(req)
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
	v.readForm(page)
	if v.form.Get("csrfmiddlewaretoken") == "" {
		return fail(show, "%s is no login page", where)
	}
	return pass(show)
}

// login sends the form with the clone's own password, and passes when Horizon then shows something else than the form. A
// Horizon without a nova forbids its own first page, the overview of servers, to whom it has let in; a stranger it would have
// sent back to the form, and a form that it does not believe it forbids where the form is.
func (v *visitor) login(ctx context.Context, t Target, where string) Answer {
	rc, err := readOpenrc(t)
	if err != nil {
		return fail("no login", "%v", err)
	}
	v.form.Set("username", rc["OS_USERNAME"])
	v.form.Set("password", rc["OS_PASSWORD"])
	v.form.Set("domain", cmp.Or(rc["OS_USER_DOMAIN_NAME"], "Default"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(v.form.Encode()))
	if err != nil {
		return fail("error", "%v", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Referer", where)
	res, err := v.client.Do(req)
	if err != nil {
		return fail("silent", "%v", err)
	}
	defer res.Body.Close()
	at := res.Request.URL.String()
	switch {
	case res.Header.Get("Location") != "":
		return fail(fmt.Sprint(res.StatusCode), "%s sends the visitor to %s", at, res.Header.Get("Location"))
	case res.StatusCode == http.StatusOK && strings.Contains(res.Request.URL.Path, "/auth/login"):
		return fail("no entry", "%s does not let %s in with the clone's own password", where, rc["OS_USERNAME"])
	case res.StatusCode == http.StatusForbidden && !strings.Contains(res.Request.URL.Path, "/auth/login"):
		return pass("logged in")
	case res.StatusCode != http.StatusOK:
		return fail(fmt.Sprint(res.StatusCode), "after the login, %s answers %s", at, res.Status)
	}
	return pass("logged in")
}
