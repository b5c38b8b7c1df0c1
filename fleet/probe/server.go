package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// server lets the cloud do what it is for: an image, a network, a server that becomes active. All of it goes away again.
func server() Probe {
	return Probe{Name: "server", Question: "does it take an image, make a network and run a server? (--deep; removes them again)", Ask: askServer}
}

func askServer(ctx context.Context, t Target) Answer {
	if !t.Deep {
		return skip("asked with --deep only")
	}
	for _, file := range []string{"/etc/keystone/keystone.conf", "/etc/nova/nova.conf"} {
		if _, err := t.ReadFile(file); err != nil {
			return skip("no " + file + " in this image")
		}
	}
	return t.again(ctx, func() Answer {
		s, err := t.enter(ctx)
		if err != nil {
			return fail("no token", "%v", err)
		}
		took, err := s.tryServer(ctx)
		if err != nil {
			return fail("no server", "%v", err)
		}
		return pass(fmt.Sprintf("active in %.1fs", took.Seconds()))
	})
}

// trialName is what everything of the trial is called.
const trialName = "goldsmith-verify"

// tryServer makes what a server needs, and a server, and removes all of it in the opposite order.
func (s session) tryServer(ctx context.Context) (took time.Duration, err error) {
	var undo []string
	defer func() {
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, s.remove(context.WithoutCancel(ctx), undo[i]))
		}
	}()
	make := func(base, path, kind string, what object) (string, error) {
		id, err := s.create(ctx, base+path, kind, what)
		if err == nil {
			undo = append(undo, base+path+"/"+id)
		}
		return id, err
	}
	glance, neutron, nova := s.url("image"), s.url("network"), s.url("compute")
	image, err := make(glance, "/v2/images", "", object{"name": trialName, "disk_format": "raw", "container_format": "bare"})
	if err != nil {
		return 0, err
	}
	if err := s.upload(ctx, glance+"/v2/images/"+image+"/file"); err != nil {
		return 0, err
	}
	net, err := make(neutron, "/v2.0/networks", "network", object{"name": trialName})
	if err != nil {
		return 0, err
	}
	if _, err := make(neutron, "/v2.0/subnets", "subnet", object{"name": trialName, "network_id": net, "ip_version": 4, "cidr": "203.0.113.0/24"}); err != nil {
		return 0, err
	}
	flavor, err := make(nova, "/flavors", "flavor", object{"name": trialName, "ram": 64, "vcpus": 1, "disk": 1})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	id, err := make(nova, "/servers", "server", object{"name": trialName, "imageRef": image, "flavorRef": flavor, "networks": []object{{"uuid": net}}})
	if err != nil {
		return 0, err
	}
	err = s.active(ctx, nova+"/servers/"+id)
	return time.Since(began), err
}

// create makes one thing. Most APIs wrap it in an object of one key, glance does not.
func (s session) create(ctx context.Context, where, kind string, what object) (string, error) {
	type thing struct {
		ID string `json:"id"`
	}
	if kind == "" {
		var t thing
		err := s.call(ctx, http.MethodPost, where, what, &t)
		return t.ID, err
	}
	answer := map[string]thing{}
	err := s.call(ctx, http.MethodPost, where, object{kind: what}, &answer)
	if err == nil && answer[kind].ID == "" {
		err = fmt.Errorf("POST %s: the answer has no id", where)
	}
	return answer[kind].ID, err
}

// upload sends an image of one mebibyte.
func (s session) upload(ctx context.Context, where string) error {
	res, err := s.raw(ctx, http.MethodPut, where, "application/octet-stream", bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("PUT %s answers %s", where, res.Status)
	}
	return nil
}

// active waits until a server runs, or never will.
func (s session) active(ctx context.Context, where string) error {
	for {
		var answer struct {
			Server struct {
				Status string
				Fault  struct{ Message string }
			}
		}
		if err := s.call(ctx, http.MethodGet, where, nil, &answer); err != nil {
			return err
		}
		switch answer.Server.Status {
		case "ACTIVE":
			return nil
		case "ERROR":
			return fmt.Errorf("the server is in ERROR: %s", answer.Server.Fault.Message)
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("the server is still in %s", answer.Server.Status)
		}
	}
}

// removeTime is how long a thing may be in use after what used it was removed.
const removeTime = time.Minute

// remove removes one thing, and waits until it is gone: a server holds its port, and the port its network.
func (s session) remove(ctx context.Context, where string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	_ = s.gone(ctx, where) // never at the first time
	for {
		err := s.gone(ctx, where)
		if err == nil || !sleep(ctx, time.Second) {
			return err
		}
	}
}

// gone asks for a thing's removal, and says nil once there is no such thing. An API may say yes long before it is so.
func (s session) gone(ctx context.Context, where string) error {
	res, err := s.send(ctx, http.MethodDelete, where, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		return fmt.Errorf("%s is still there: DELETE answers %s", where, res.Status)
	}
	return nil
}
