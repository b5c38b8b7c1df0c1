package rewriters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/dhclient"
	"goldsmith/firstboot/text/edit"
)

// dhcpClients follows the configuration of the DHCP clients that network systems run: what they call the machine.
func dhcpClients() Rewriter {
	return Rewriter{
		Name: "dhcpclients", Short: "dhclient and dhcpcd: client ids, host names, names of NICs", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "/etc/dhcp/dhclient*.conf, /etc/dhclient*.conf", Key: "send dhcp-client-identifier, send host-name, interface", Why: "what the DHCP server knows the machine by"},
			{Where: "/etc/dhcpcd.conf", Key: "clientid, hostname, interface, allowinterfaces, denyinterfaces", Why: "the same for dhcpcd"},
		},
		Plan: planDHCPClients,
	}
}

func planDHCPClients(_ context.Context, s *Scene) error {
	files, err1 := s.configs("/etc/dhcp/dhclient*.conf", "/etc/dhclient*.conf")
	errs := []error{err1}
	for _, f := range files {
		errs = append(errs, s.whole(f, s.dhclientConf))
	}
	files, err2 := s.configs("/etc/dhcpcd.conf")
	errs = append(errs, err2)
	for _, f := range files {
		errs = append(errs, s.whole(f, s.dhcpcdConf))
	}
	return errors.Join(errs...)
}

// whole proposes what f makes of a file.
func (s *Scene) whole(file string, f func(file string, data []byte) ([]byte, error)) error {
	data, err := s.Host.ReadFile(file)
	if err != nil {
		return err
	}
	want, err := f(file, data)
	if err != nil {
		return fmt.Errorf("cannot follow %s: %w", file, err)
	}
	return s.File(file, want, plan.Meta{Mode: 0o644}, "tells the DHCP server who the machine is")
}

// dhclientConf drops literal client ids, and follows names. Without one, dhclient goes by the MAC.
func (s *Scene) dhclientConf(_ string, data []byte) ([]byte, error) {
	list, err := dhclient.Parse(data)
	if err != nil {
		return nil, err
	}
	out := data
	for _, st := range slices.Backward(list) {
		at, with, err := s.dhclientStatement(st)
		if err != nil {
			return nil, err
		}
		if at.To > at.From {
			out = edit.Splice(out, at, with)
		}
	}
	return out, nil
}

// dhclientStatement returns what to replace; an empty span for a statement that stays.
func (s *Scene) dhclientStatement(st dhclient.Statement) (edit.Span, string, error) {
	words := st.Words
	switch {
	case len(words) < 2:
	case st.Block && words[0].Text == "interface":
		want, err := Link(s, words[1].Text)
		if err != nil || want == words[1].Text {
			return edit.Span{}, "", err
		}
		return words[1].At, `"` + want + `"`, nil
	case words[0].Text != "send" && words[0].Text != "supersede":
	case words[1].Text == "dhcp-client-identifier" || words[1].Text == "dhcp6.client-id":
		if !slices.ContainsFunc(words, func(w dhclient.Word) bool { return w.Text == "hardware" }) { // derived from the MAC already
			return st.At, "", nil
		}
	case words[1].Text == "host-name" || words[1].Text == "fqdn.fqdn":
		last := words[len(words)-1]
		if want := s.name(last.Text); want != last.Text {
			return last.At, `"` + want + `"`, nil
		}
	}
	return edit.Span{}, "", nil
}

// dhcpcdConf follows dhcpcd.conf(5), which is lines of an option and its value.
func (s *Scene) dhcpcdConf(file string, data []byte) ([]byte, error) {
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		want, err := s.dhcpcdLine(file, line)
		if err != nil {
			return nil, err
		}
		out.WriteString(want)
	}
	return []byte(out.String()), nil
}

func (s *Scene) dhcpcdLine(file, line string) (string, error) {
	option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
	value = strings.TrimSpace(value)
	want := value
	var err error
	switch option {
	case "clientid":
		want = "" // alone it means: by the MAC
	case "hostname":
		want = s.name(value)
	case "interface", "allowinterfaces", "denyinterfaces":
		want, err = linkList(s, value)
	case "static":
		if rest, ok := strings.CutPrefix(value, "ip_address="); ok {
			s.static(file, "static ip_address", rest)
		}
	}
	if err != nil || want == value || value == "" {
		return line, err
	}
	head, tail, _ := strings.Cut(line, value)
	if want == "" {
		head = strings.TrimRight(head, " \t")
	}
	return head + want + tail, nil
}
