package rewriters

import (
	"strings"
	"testing"
)

// The hashes were made by passlib 1.7 (pbkdf2_sha512, bcrypt) as keystone calls it.
func TestKeystoneVerifies(t *testing.T) {
	const bcryptOfSecret = "$2b$04$TKDvZtstY.JLsbdsXgzGv.upgAy.UB5BNcIeM6wzI9ToBkJxRis6u"
	const pbkdf2OfSecret = "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$vgFvU7zWIDgDAUi7d8ayt.cfRiPWVVWfv8iQRsGZaZviWzsSNgWYXEE5PmvI/VELMsOmEbqLz0PKuePNjOk41A"
	for _, c := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"bcrypt", bcryptOfSecret, "secret", true},
		{"bcrypt, another", bcryptOfSecret, "Secret", false},
		{"pbkdf2", pbkdf2OfSecret, "secret", true},
		{"pbkdf2, another", pbkdf2OfSecret, "secret ", false},
		{"another kind", "$scrypt$ln=16,r=8,p=1$x$y", "secret", false},
		{"rounds that are no number", strings.Replace(pbkdf2OfSecret, "1000", "many", 1), "secret", false},
		{"no rounds", strings.Replace(pbkdf2OfSecret, "1000", "0", 1), "secret", false},
		{"rounds to wait for", strings.Replace(pbkdf2OfSecret, "1000", "99999999", 1), "secret", false},
		{"nothing", "", "", false},
	} {
		if got := keystoneVerifies(c.hash, c.password); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	again, err := keystoneHash("secret", []byte("0123456789abcdef"), 1000)
	if err != nil || again != pbkdf2OfSecret {
		t.Errorf("made %s, %v; passlib makes %s", again, err, pbkdf2OfSecret)
	}
}

// RabbitMQ's manual computes this one: password test12, salt 908DC60A.
func TestBrokerHash(t *testing.T) {
	if got := brokerHash("test12", []byte{0x90, 0x8D, 0xC6, 0x0A}); got != "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR" {
		t.Errorf("made %s", got)
	}
}
