// Package oneapi is a small client of OpenNebula's XML-RPC interface, and the few things that a bake does through it: wait for
// oned, make datastores, hosts, networks and hooks that are not there yet, and bring those that are there in line.
//
// It lives in the builder on purpose: net/http adds 1.2 MB to a static binary (measured), and what a clone changes it changes in
// the database before oned starts, so that no request ever sees the old values.
package oneapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Client speaks to one oned.
type Client struct {
	URL     string // http://host:2633/RPC2
	Session string // user:password; never part of an error
	HTTP    *http.Client
	Limit   int64 // bytes of an answer; zero: answerLimit
}

// A Code is the reason that oned gives with a refusal (Request::ErrorCode of OpenNebula).
type Code int

// The codes that oned documents.
const (
	Authentication Code = 0x00100
	Authorization  Code = 0x00200
	NoExists       Code = 0x00400
	Action         Code = 0x00800
	RPC            Code = 0x01000 // also given to XML-RPC faults: unknown method, wrong argument types
	Internal       Code = 0x02000
	Allocate       Code = 0x04000
	Locked         Code = 0x08000
	Replication    Code = 0x10000
)

func (c Code) String() string {
	names := map[Code]string{Authentication: "authentication", Authorization: "authorization", NoExists: "no such object",
		Action: "action", RPC: "XML-RPC", Internal: "internal", Allocate: "allocate", Locked: "locked", Replication: "replication"}
	if s, ok := names[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", int(c))
}

// An Error is what oned answers instead of a result.
type Error struct {
	Method  string
	Code    Code
	Message string
	Object  int // id of the object that the refusal is about, -1 where oned names none
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%v)", e.Method, e.Message, e.Code) }

// Is makes errors.Is(err, &Error{Code: NoExists}) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Method == "" && t.Code == e.Code
}

// answerLimit bounds what is read of an answer. A pool of some thousand VMs is a few MB.
const answerLimit = 256 << 20

// Call makes one call and returns its value: a string, an int or a bool. Arguments are strings, ints and bools; the session
// goes before them.
func (c *Client) Call(ctx context.Context, method string, args ...any) (any, error) {
	v, err := c.call(ctx, method, args)
	if err != nil {
		return nil, fmt.Errorf("cannot call oned: %w", err)
	}
	return v, nil
}

func (c *Client) call(ctx context.Context, method string, args []any) (any, error) {
	body, err := encode(method, append([]any{c.Session}, args...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/xml")
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, c.unreached(method, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s answers %s%s", method, c.URL, resp.Status, statusHint(resp.StatusCode))
	}
	data, err := c.read(method, resp.Body)
	if err != nil {
		return nil, err
	}
	v, err := decode(method, data)
	if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return v, err
}

// read takes an answer that is whole and of bearable size.
func (c *Client) read(method string, body io.Reader) ([]byte, error) {
	limit := cmp.Or(c.Limit, answerLimit)
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case late(err):
		return nil, fmt.Errorf("%s: the answer stops after %d bytes and does not go on in time: %w", method, len(data), err)
	case err != nil:
		return nil, fmt.Errorf("%s: the connection breaks off after %d bytes of the answer: %w", method, len(data), err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: the answer is larger than %d bytes", method, limit)
	}
	return data, nil
}

// unreached names the reason why there is no answer at all. The error of net/http is left out of it but for its cause: it repeats
// the URL.
func (c *Client) unreached(method string, err error) error {
	cause := err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		cause = u.Err
	}
	if late(err) {
		return fmt.Errorf("%s: %s does not answer in time: %w", method, c.URL, cause)
	}
	if errors.Is(err, errRedirect) {
		return fmt.Errorf("%s: %s answers with a redirect: %w", method, c.URL, cause)
	}
	return fmt.Errorf("%s: %s cannot be reached: %w", method, c.URL, cause)
}

// late tells whether time ran out, on the client's clock or on the caller's.
func late(err error) bool {
	n := net.Error(nil)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// statusHint explains what oned's HTTP server, and proxies before it, refuse before they look at a call.
func statusHint(status int) string {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "\nhint: oned's interface is at the path /RPC2, on port 2633"
	case http.StatusRequestEntityTooLarge:
		return "\nhint: MESSAGE_SIZE in oned.conf bounds a call"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "\nhint: a proxy answers for oned, which is down or busy"
	}
	return ""
}

// errRedirect is never followed: the session must not be sent elsewhere.
var errRedirect = errors.New("oned does not redirect")

// client waits a minute and refuses redirects.
func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errRedirect
	}}
}

// Wait asks for the version until oned answers, every second, until ctx ends. A wrong session ends the waiting: it does not get
// better. oned takes 12 to 20 s to answer after its start.
func (c *Client) Wait(ctx context.Context) (version string, err error) {
	for {
		v, err := c.Call(ctx, "one.system.version")
		if err == nil {
			s, ok := v.(string)
			if !ok {
				return "", fmt.Errorf("cannot read oned's version: it is a %T", v)
			}
			return s, nil
		}
		if errors.Is(err, &Error{Code: Authentication}) {
			return "", fmt.Errorf("%w\nhint: the session is the content of ~oneadmin/.one/one_auth", err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("cannot wait for oned: %w; last answer: %w", ctx.Err(), err)
		case <-time.After(time.Second):
		}
	}
}
