package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client reaches the machine's services from within its network.
func (o *openStack) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: o.m.Dial, DisableKeepAlives: true},
		Timeout:   2 * time.Minute, // the first request of a service loads it
	}
}

// answers waits until something other than "not yet" comes from a URL.
func (o *openStack) answers(ctx context.Context, url string) error {
	client, last := o.client(), errors.New("no answer")
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
			err = errors.New(resp.Status)
		}
		last = err
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not answer: %w", url, last)
}

// waitForServices asks every service, as a client would.
func (o *openStack) waitForServices(ctx context.Context) error {
	for _, s := range o.services() {
		if s.check == "" {
			continue
		}
		o.wait(s.name + " to answer")
		if err := o.answers(ctx, o.public(s.port, s.check)); err != nil {
			return err
		}
	}
	return nil
}

// A session is a token of the administrator.
type session struct {
	client *http.Client
	base   string // URL of keystone
	token  string
}

// object is what keystone's API takes and gives.
type object = map[string]any

// login gets a token for the admin project.
func (o *openStack) login(ctx context.Context) (*session, error) {
	s := &session{client: o.client(), base: o.public(5000, "/v3")}
	domain := object{"id": "default"}
	resp, err := s.send(ctx, http.MethodPost, "/auth/tokens", object{"auth": object{
		"identity": object{"methods": []string{"password"},
			"password": object{"user": object{"name": "admin", "domain": domain, "password": o.password("keystone/admin")}}},
		"scope": object{"project": object{"name": "admin", "domain": domain}},
	}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	s.token = resp.Header.Get("X-Subject-Token")
	return s, nil
}

// send sends a request to a path of keystone, or to a whole URL; an answer that is not a success is an error.
func (s *session) send(ctx context.Context, method, path string, body object) (*http.Response, error) {
	var payload io.Reader // none: keystone refuses a body of "null"
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(b)
	}
	where := s.base + path
	if strings.Contains(path, "://") {
		where = path
	}
	req, err := http.NewRequestWithContext(ctx, method, where, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		req.Header.Set("X-Auth-Token", s.token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // the status alone is an error already
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, why)
	}
	return resp, nil
}

// make creates one thing and returns its id.
func (s *session) make(ctx context.Context, path, kind string, what object) (string, error) {
	resp, err := s.send(ctx, http.MethodPost, path, object{kind: what})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer map[string]struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("cannot read answer of %s: %w", path, err)
	}
	return answer[kind].ID, nil
}

// get reads what is at a path.
func (s *session) get(ctx context.Context, path string, into any) error {
	resp, err := s.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("cannot read answer of %s: %w", path, err)
	}
	return nil
}

// role returns the id of a role.
func (s *session) role(ctx context.Context, name string) (string, error) {
	var answer struct {
		Roles []struct{ ID string }
	}
	if err := s.get(ctx, "/roles?name="+name, &answer); err != nil {
		return "", err
	}
	if len(answer.Roles) != 1 {
		return "", fmt.Errorf("cannot find role %s", name)
	}
	return answer.Roles[0].ID, nil
}

// fillCatalogue makes the services' accounts and endpoints. Thirty requests from here take the time of one call of the
// openstack command, which loads for seconds.
func (o *openStack) fillCatalogue(ctx context.Context) error {
	s, err := o.login(ctx)
	if err != nil {
		return err
	}
	admin, err := s.role(ctx, "admin")
	if err != nil {
		return err
	}
	project, err := s.make(ctx, "/projects", "project", object{"name": "service", "domain_id": "default"})
	if err != nil {
		return err
	}
	for _, v := range o.services() {
		if v.kind == "" || v.name == "keystone" { // bootstrap made keystone's own
			continue
		}
		if err := o.enter(ctx, s, v, project, admin); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return nil
}

// enter makes one service's account, and its endpoints for all three kinds of clients.
func (o *openStack) enter(ctx context.Context, s *session, v service, project, role string) error {
	user, err := s.make(ctx, "/users", "user", object{"name": v.name, "domain_id": "default", "password": o.password("keystone/" + v.name)})
	if err != nil {
		return err
	}
	resp, err := s.send(ctx, http.MethodPut, "/projects/"+project+"/users/"+user+"/roles/"+role, nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	id, err := s.make(ctx, "/services", "service", object{"name": v.name, "type": v.kind, "enabled": true})
	if err != nil {
		return err
	}
	for _, face := range []string{"public", "internal", "admin"} {
		_, err := s.make(ctx, "/endpoints", "endpoint", object{"service_id": id, "interface": face, "region_id": o.Region,
			"url": o.public(v.port, v.path), "enabled": true})
		if err != nil {
			return err
		}
	}
	return nil
}
