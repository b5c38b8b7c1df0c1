package probe

import (
	"bytes"
	"context"
	"fmt"

	"goldsmith/builder/oneapi"
)

// oneAuth is where oned's administrator keeps the session, user:password.
const oneAuth = "/var/lib/one/.one/one_auth"

// onedAnswer bounds what is read of an answer, in bytes.
const onedAnswer = 64 << 20

// askOned makes a call without arguments in the clone's network, and returns its one text. No error holds the session.
func (t Target) askOned(ctx context.Context, method string) (string, error) {
	auth, err := t.ReadFile(oneAuth)
	if err != nil {
		return "", fmt.Errorf("cannot read oneadmin's session: %w", err)
	}
	c := oneapi.Client{URL: t.url(2633, "/RPC2"), Session: string(bytes.TrimSpace(auth)), HTTP: t.client(), Limit: onedAnswer}
	v, err := c.Call(ctx, method)
	if err != nil {
		return "", err
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s: oned answers with %v where a text belongs", method, v)
	}
	return text, nil
}
