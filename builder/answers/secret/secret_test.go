package secret

import (
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewUsesLettersAndDigitsEvenly(t *testing.T) {
	seen := map[rune]int{}
	const rounds, length = 2000, 31
	for range rounds {
		s, err := New(rand.Reader, length)
		if err != nil || len(s) != length {
			t.Fatalf("New = %q, %v", s, err)
		}
		if strings.ContainsAny(s[:1], "0123456789") {
			t.Fatalf("%q starts with a digit", s)
		}
		for _, r := range s[1:] {
			if !strings.ContainsRune(alphabet, r) {
				t.Fatalf("%q has %q", s, r)
			}
			seen[r]++
		}
	}
	// 60000 draws of 62 characters: 968 each, standard deviation 31. Six of those never happen by chance.
	want := rounds * (length - 1) / len(alphabet)
	for _, r := range alphabet {
		if d := seen[r] - want; d < -186 || d > 186 {
			t.Errorf("%q came %d times, want about %d", r, seen[r], want)
		}
	}
}

func TestNewFailsWithoutRandomness(t *testing.T) {
	if s, err := New(iotest.ErrReader(io.ErrClosedPipe), 8); !errors.Is(err, io.ErrClosedPipe) || s != "" {
		t.Errorf("New = %q, %v, want the reader's error", s, err)
	}
}
