package oneapi

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const session = "oneadmin:golden"

type call struct {
	Method string
	Params []any
}

func readCall(t testing.TB, body []byte) call {
	t.Helper()
	var m struct {
		Method string  `xml:"methodName"`
		Params []value `xml:"params>param>value"`
	}
	if err := xml.Unmarshal(body, &m); err != nil {
		t.Fatalf("the client sent %s: %v", body, err)
	}
	p, err := plainAll(m.Params)
	if err != nil {
		t.Fatal(err)
	}
	return call{m.Method, p}
}

// serve answers every call by f.
func serve(t testing.TB, f func(call) string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, f(readCall(t, body)))
	}))
	t.Cleanup(s.Close)
	return &Client{URL: s.URL + "/RPC2", Session: session}
}

func array(values ...string) string {
	return `<?xml version="1.0"?><methodResponse><params><param><value><array><data><value>` +
		strings.Join(values, "</value><value>") + `</value></data></array></value></param></params></methodResponse>`
}

func answer(t testing.TB, v string) string {
	t.Helper()
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(v)); err != nil {
		t.Fatal(err)
	}
	return array("<boolean>1</boolean>", "<string>"+b.String()+"</string>", "<i4>0</i4>")
}

// Every recorded pair: our request says what the recorded one says, and the recorded answer is understood.
func TestRecordedPairs(t *testing.T) {
	requests, err := filepath.Glob("testdata/*.req.xml")
	if err != nil || len(requests) != 13 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	refused := map[string]Error{
		"08": {"one.vn.rm_ar", Internal, "Address Range has leases in use", -1},
		"11": {"one.userpool.info", Authentication, "User couldn't be authenticated, aborting call.", -1},
		"12": {"one.datastore.allocate", Internal, `DS_MAD named "nope" is not defined in oned.conf`, -1},
	}
	values := map[string]any{"00": "6.10.5", "05": 0, "06": 0, "07": 100, "09": 0, "10": 1}
	for _, path := range requests {
		req, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := os.ReadFile(strings.Replace(path, ".req.", ".resp.", 1))
		if err != nil {
			t.Fatal(err)
		}
		nr, want := filepath.Base(path)[:2], readCall(t, req)
		c := serve(t, func(got call) string {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
			return string(resp)
		})
		c.Session = want.Params[0].(string)
		v, err := c.Call(t.Context(), want.Method, want.Params[1:]...)
		if e := (*Error)(nil); errors.As(err, &e) {
			if diff := cmp.Diff(refused[nr], *e); diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
			continue
		}
		if _, bad := refused[nr]; bad || err != nil || v == nil {
			t.Errorf("%s: %v, %v", path, v, err)
		}
		if known, ok := values[nr]; ok && v != known {
			t.Errorf("%s: %v, want %v", path, v, known)
		}
	}
}

func TestRefusalsByCode(t *testing.T) {
	for _, code := range []Code{Authentication, Authorization, NoExists, Action, RPC, Internal, Allocate, Locked, Replication} {
		c := serve(t, func(call) string {
			return array("<boolean>0</boolean>", "<string>[one.host.info] because</string>", fmt.Sprintf("<i4>%d</i4>", code), "<i4>7</i4>")
		})
		_, err := c.Call(t.Context(), "one.host.info", 7)
		if !errors.Is(err, &Error{Code: code}) || errors.Is(err, &Error{Code: code + 1}) {
			t.Errorf("code %#x: %v", int(code), err)
		}
		if e := (*Error)(nil); !errors.As(err, &e) || e.Object != 7 || e.Message != "because" || strings.Contains(code.String(), "code") {
			t.Errorf("code %#x: %+v", int(code), e)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	for name, tc := range map[string]struct{ body, say string }{
		"nothing":             {"\n", "the answer is empty"},
		"HTML":                {"<html><body>502</body></html>", "no XML-RPC response"},
		"cut off":             {"<methodResponse><params><param>", "cut off after 31 bytes"},
		"cut off in a value":  {array("<boolean>1</boolean>", "<string>abc")[:120], "cut off after 120 bytes"},
		"wrong closing":       {"<methodResponse></params>", "no XML-RPC response"},
		"no value":            {"<methodResponse><params></params></methodResponse>", "0 values"},
		"no array":            {"<methodResponse><params><param><value><i4>1</i4></value></param></params></methodResponse>", "is a int"},
		"empty array":         {array("<boolean>1</boolean>"), "not an array of success and value"},
		"no boolean":          {array("<i4>1</i4>", "<i4>1</i4>"), "begins with a int"},
		"third truth value":   {array("<boolean>2</boolean>", "<i4>1</i4>"), "no boolean"},
		"number with letters": {array("<boolean>1</boolean>", "<i4>x</i4>"), "no number"},
		"fault": {`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-506</int></value></member>` +
			`<member><name>faultString</name><value><string>Method 'one.x' not defined</string></value></member></struct></value></fault></methodResponse>`,
			"fault -506: Method 'one.x' not defined (XML-RPC)"},
		"fault without a text": {`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member></struct></value></fault></methodResponse>`,
			"no code and text"},
		"fault that is no struct": {`<methodResponse><fault><value><int>7</int></value></fault></methodResponse>`, "no code and text"},
		"a double":                {array("<boolean>1</boolean>", "<double>1.5</double>"), "a value is a <double>"},
		"nil":                     {array("<boolean>1</boolean>", "<nil/>"), "a value is a <nil>"},
		"a date in an array":      {array("<boolean>1</boolean>", "<array><data><value><dateTime.iso8601>x</dateTime.iso8601></value></data></array>"), "a <dateTime.iso8601>"},
		"reason is a number":      {array("<boolean>0</boolean>", "<i4>5</i4>", "<i4>256</i4>"), "the reason of a refusal is a int"},
		"code is a text":          {array("<boolean>0</boolean>", "why", "<string>256</string>"), "code and object of a refusal are no numbers; its reason is: why"},
		"refusal without a code":  {array("<boolean>0</boolean>", "why"), "why (code 0)"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(call) string { return tc.body })
			v, err := c.Call(t.Context(), "one.x")
			if err == nil || !strings.Contains(err.Error(), tc.say) || !strings.Contains(err.Error(), "one.x") || v != nil {
				t.Errorf("%v, error %v, want one that says %q", v, err, tc.say)
			}
			if strings.Contains(err.Error(), "golden") {
				t.Errorf("the error holds the session: %v", err)
			}
		})
	}
}

// What goes wrong below XML-RPC: each has a message of its own, and none holds the session.
func TestTransportErrors(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	for name, tc := range map[string]struct {
		h   http.HandlerFunc
		say string
	}{
		"unauthorized":    {status(401), "answers 401 Unauthorized"},
		"wrong path":      {status(404), "answers 404 Not Found\nhint: oned's interface is at the path /RPC2"},
		"wrong verb":      {status(405), "hint: oned's interface is at the path /RPC2"},
		"call too large":  {status(413), "hint: MESSAGE_SIZE in oned.conf"},
		"internal error":  {status(500), "answers 500 Internal Server Error"},
		"proxy, no oned":  {status(502), "hint: a proxy answers for oned"},
		"busy":            {status(503), "hint: a proxy answers for oned"},
		"nothing to read": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "answers 204 No Content"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "answers with a redirect: oned does not redirect"},
		"broken body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			fmt.Fprint(w, "x")
		}, "the connection breaks off after 1 bytes of the answer: unexpected EOF"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 5001)) }, "larger than 5000 bytes"},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.2\r\n")
			conn.Close()
		}, "cannot be reached: net/http: HTTP/1.x transport connection broken: malformed HTTP response"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tc.h)
			defer s.Close()
			c := Client{URL: s.URL, Session: session, Limit: 5000}
			says(t, &c, tc.say)
		})
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	says(t, &Client{URL: gone.URL, Session: session}, "cannot be reached: dial tcp")
	says(t, &Client{URL: "http://[::1", Session: session}, "missing ']'")
}

// says makes a call that must fail in one way.
func says(t *testing.T, c *Client, want string) {
	t.Helper()
	v, err := c.Call(t.Context(), "one.x")
	if err == nil || v != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "golden") {
		t.Errorf("%v, error %v, want one that says %q", v, err, want)
	}
}

// An oned that is silent, before its answer and in the middle of it, by the client's clock and by the caller's.
func TestTimeouts(t *testing.T) {
	silent := make(chan struct{})
	for name, tc := range map[string]struct{ begin, say string }{
		"before the answer": {"", "does not answer in time"},
		"in the answer":     {"<methodResponse>", "the answer stops after 16 bytes and does not go on in time"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tc.begin != "" {
				fmt.Fprint(w, tc.begin)
				w.(http.Flusher).Flush()
			}
			<-silent
		}))
		t.Cleanup(s.Close)
		t.Run(name, func(t *testing.T) {
			says(t, &Client{URL: s.URL, Session: session, HTTP: &http.Client{Timeout: 300 * time.Millisecond}}, tc.say)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := (&Client{URL: s.URL, Session: session}).Call(ctx, "one.x")
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("the caller's clock: %v", err)
			}
		})
	}
	t.Cleanup(func() { close(silent) }) // before the servers close, which wait for their handlers
}

func TestArgumentsThatCannotTravel(t *testing.T) {
	c := serve(t, func(call) string { t.Error("a request was sent"); return "" })
	for _, arg := range []any{"a\x00b", "a\xffb", 1.5, nil} {
		if _, err := c.Call(t.Context(), "one.x", arg); err == nil {
			t.Errorf("%#v was sent", arg)
		}
	}
}

func TestWait(t *testing.T) {
	n := 0
	c := serve(t, func(call) string {
		if n++; n == 1 {
			return "starting"
		}
		return answer(t, "6.10.5")
	})
	if v, err := c.Wait(t.Context()); v != "6.10.5" || err != nil || n != 2 {
		t.Errorf("%q, %v after %d calls", v, err, n)
	}
	wrong := serve(t, func(call) string {
		return array("<boolean>0</boolean>", "<string>no</string>", "<i4>256</i4>")
	})
	if _, err := wrong.Wait(t.Context()); !errors.Is(err, &Error{Code: Authentication}) || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("a wrong session: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := serve(t, func(call) string { return "starting" }).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an oned that never answers: %v", err)
	}
}

// recorded serves the pools that were recorded, and ids for everything else.
func recorded(t *testing.T) (*Client, *[]call) {
	t.Helper()
	var calls []call
	c := serve(t, func(got call) string {
		all, err := filepath.Glob("testdata/*-" + got.Method + ".resp.xml")
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(got.Method, "pool.info") && len(all) == 1 {
			b, err := os.ReadFile(all[0])
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		calls = append(calls, call{got.Method, got.Params[1:]})
		return array("<boolean>1</boolean>", "<i4>42</i4>", "<i4>0</i4>")
	})
	return c, &calls
}

const imageDS = `NAME = "Vitastor Images"
DS_MAD = "vitastor"
TM_MAD = "vitastor"
TYPE = "IMAGE_DS"
DISK_TYPE = "file"
BRIDGE_LIST = "opennebula1"
POOL_NAME = "test1"
IMAGE_PREFIX = "one"
STAGING_DIR = "/var/tmp"
VITASTOR_CONF = "/etc/vitastor/vitastor.conf"
`

func TestEnsure(t *testing.T) {
	other := strings.NewReplacer("Vitastor Images", "Second").Replace(imageDS)
	for name, tc := range map[string]struct {
		kind     Kind
		template string
		id       int
		outcome  Outcome
		calls    []call
	}{
		"datastore as it is": {Datastores(), imageDS, 100, Unchanged, nil},
		"datastore that differs": {Datastores(), strings.Replace(imageDS, `"one"`, `"c017"`, 1), 100, Updated,
			[]call{{"one.datastore.update", []any{100, `IMAGE_PREFIX="c017"`, 1}}}},
		"new datastore":    {Datastores(), other, 42, Made, []call{{"one.datastore.allocate", []any{other, -1}}}},
		"network as it is": {Networks(), "NAME=net_ip4 VN_MAD=bridge BRIDGE=br0 AR=[TYPE=IP4]", 1, Unchanged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, calls := recorded(t)
			id, outcome, err := c.Ensure(t.Context(), tc.kind, tc.template)
			if id != tc.id || outcome != tc.outcome || err != nil {
				t.Errorf("%d, %s, %v", id, outcome, err)
			}
			if diff := cmp.Diff(tc.calls, *calls); diff != "" {
				t.Error(diff)
			}
		})
	}
	c, calls := recorded(t)
	for _, bad := range []string{"DS_MAD=x", "NAME=[ ]", "NAME=[ A=1 ]"} {
		if _, _, err := c.Ensure(t.Context(), Datastores(), bad); err == nil || len(*calls) > 0 {
			t.Errorf("%q was taken: %v", bad, *calls)
		}
	}
}

func TestHosts(t *testing.T) {
	c, calls := recorded(t)
	if id, o, err := c.EnsureHost(t.Context(), "gold-template", "kvm", "kvm"); id != 0 || o != Unchanged || err != nil {
		t.Errorf("%d %s %v", id, o, err)
	}
	if id, o, err := c.EnsureHost(t.Context(), "localhost", "kvm", "kvm"); id != 42 || o != Made || err != nil {
		t.Errorf("%d %s %v", id, o, err)
	}
	if err := c.RenameHost(t.Context(), 0, "clone-017"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"x", strings.Repeat("x", 64)} {
		if _, _, err := c.EnsureHost(t.Context(), name, "kvm", "kvm"); err == nil {
			t.Errorf("a name of %d characters was taken", len(name))
		}
	}
	want := []call{{"one.host.allocate", []any{"localhost", "kvm", "kvm", -1}}, {"one.host.rename", []any{0, "clone-017"}}}
	if diff := cmp.Diff(want, *calls); diff != "" {
		t.Error(diff)
	}
}

func TestReplaceRangeStopsWhenALeaseIsOut(t *testing.T) {
	var methods []string
	c := serve(t, func(got call) string {
		methods = append(methods, got.Method)
		if got.Method == "one.vn.rm_ar" {
			return array("<boolean>0</boolean>", "<string>[one.vn.rm_ar] Address Range has leases in use</string>", "<i4>8192</i4>")
		}
		return array("<boolean>1</boolean>", "<i4>0</i4>")
	})
	err := c.ReplaceRange(t.Context(), 0, 0, `AR=[TYPE="ETHER",SIZE="10",MAC="02:17:00:00:00:01"]`)
	if !errors.Is(err, &Error{Code: Internal}) || !slices.Equal(methods, []string{"one.vn.rm_ar"}) {
		t.Errorf("%v after %v", err, methods)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(array("<boolean>1</boolean>", "<i4>1</i4>")))
	f.Add([]byte("<methodResponse><fault><value><struct><member><name>x</name></member></struct></value></fault></methodResponse>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if v, err := decode("one.x", body); v != nil && err != nil {
			t.Errorf("both %v and %v", v, err)
		}
	})
}
