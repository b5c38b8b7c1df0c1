package probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// oneAuth is where oned's administrator keeps the session, user:password.
const oneAuth = "/var/lib/one/.one/one_auth"

// askOned makes an XML-RPC call without arguments but the session, and returns its one text. No error holds the session. The client of
// the builder makes and changes things; this one asks, in the clone's network.
func (t Target) askOned(ctx context.Context, method string) (string, error) {
	auth, err := t.ReadFile(oneAuth)
	if err != nil {
		return "", fmt.Errorf("cannot read oneadmin's session: %w", err)
	}
	body := bytes.NewBufferString("<methodCall><methodName>" + method + "</methodName><params><param><value><string>")
	if err := xml.EscapeText(body, bytes.TrimSpace(auth)); err != nil {
		return "", err
	}
	body.WriteString("</string></value></param></params></methodCall>")
	where := t.url(2633, "/RPC2")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "text/xml")
	res, err := t.client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", where, res.Status)
	}
	return onedText(io.LimitReader(res.Body, 64<<20))
}

// onedText reads an answer: success, and the text that comes with it.
func onedText(r io.Reader) (string, error) {
	var answer struct {
		Values []struct {
			Boolean string `xml:"boolean"`
			String  string `xml:"string"`
		} `xml:"params>param>value>array>data>value"`
		Fault string `xml:"fault>value>struct>member>value>string"`
	}
	if err := xml.NewDecoder(r).Decode(&answer); err != nil {
		return "", fmt.Errorf("cannot read oned's answer: %w", err)
	}
	switch {
	case answer.Fault != "":
		return "", fmt.Errorf("oned answers with a fault: %s", answer.Fault)
	case len(answer.Values) < 2:
		return "", errors.New("oned's answer is no array of success and value")
	case strings.TrimSpace(answer.Values[0].Boolean) != "1":
		return "", fmt.Errorf("oned refuses: %s", answer.Values[1].String)
	}
	return answer.Values[1].String, nil
}
