// Package phonehome sends a report to the one URL that a clone was told. It speaks just enough HTTP/1.1 (RFC 9112) for one
// POST: the net/http client would add 1.2 MB to the first program of every clone.
package phonehome

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// timeout bounds the whole exchange. A clone does not wait for somebody who does not listen.
const timeout = 10 * time.Second

// Post sends body as application/json and returns an error unless the answer is 2xx. Redirects are not followed: who tells
// a clone where to report can tell it right.
func Post(ctx context.Context, target string, body []byte) error {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("cannot phone home: no http or https URL was given")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(ctx, u)
	if err != nil {
		return fmt.Errorf("cannot phone home: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("cannot phone home: %w", err)
		}
	}
	if err := exchange(conn, u, body); err != nil {
		return fmt.Errorf("cannot phone home to %s: %w", u.Host, err)
	}
	return nil
}

func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		return (&tls.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

func exchange(conn net.Conn, u *url.URL, body []byte) error {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: firstboot\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n", u.RequestURI(), u.Host, len(body))
	if _, err := conn.Write(append([]byte(head), body...)); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 1024).ReadString('\n')
	if err != nil {
		return err
	}
	version, status, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(status) < 3 {
		return errors.New("the answer is not HTTP")
	}
	if status[0] != '2' {
		return fmt.Errorf("the answer is %.60q", status)
	}
	return nil
}
