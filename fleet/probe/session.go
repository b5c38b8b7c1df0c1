package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A session is a token of the clone's administrator, and where the catalogue that came with it says that services are.
type session struct {
	target    Target
	token     string
	catalogue catalogue
}

// object is what the APIs take.
type object = map[string]any

// enter logs in with what the clone's own login file says.
func (t Target) enter(ctx context.Context) (session, error) {
	rc, err := readOpenrc(t)
	if err != nil {
		return session{}, err
	}
	return login(ctx, t, rc)
}

// url is the public endpoint of a kind of service, "" where the catalogue has none.
func (s session) url(kind string) string {
	for _, service := range s.catalogue {
		for _, e := range service.Endpoints {
			if service.Type == kind && e.Interface == "public" {
				return strings.TrimSuffix(e.URL, "/")
			}
		}
	}
	return ""
}

// send sends a request with a JSON body, or with none.
func (s session) send(ctx context.Context, method, where string, body object) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(b)
	}
	return s.raw(ctx, method, where, "application/json", payload)
}

// requestTime is how long one request may take: the first one of a service loads it.
const requestTime = time.Minute

func (s session) raw(ctx context.Context, method, where, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, where, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if s.token != "" {
		req.Header.Set("X-Auth-Token", s.token)
	}
	client := s.target.client()
	client.Timeout = requestTime
	return client.Do(req)
}

// call sends a request and reads the answer, where one is wanted. What is not a success is an error.
func (s session) call(ctx context.Context, method, where string, body object, into any) error {
	res, err := s.send(ctx, method, where, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // the status alone says that it failed
		return fmt.Errorf("%s %s answers %s %s", method, where, res.Status, bytes.TrimSpace(why))
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(into); err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", where, err)
	}
	return nil
}
