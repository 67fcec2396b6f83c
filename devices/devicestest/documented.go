package devicestest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Documented is a Mosquitto that is set up as a page of the documentation says.
type Documented struct {
	*Mosquitto
	Secure    string // the URL of its listener with TLS
	Authority string // the file of the certificate that signed its own
}

// StartDocumented runs Mosquitto with the configuration and the rights that stand
// in a Markdown page, word for word but for where its files and ports are. Each of
// who may sign in with Password.
func StartDocumented(t TB, page string, who ...string) Documented {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	check(err)
	block := func(kind string) string {
		found := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no %s", page, kind)
		}
		return string(found[1])
	}
	dir := t.TempDir()
	for _, sub := range []string{"certs", "data"} {
		check(os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	d := Documented{Authority: ServerCertificate(t, filepath.Join(dir, "certs"))}
	passwords := filepath.Join(dir, "passwords")
	check(os.WriteFile(passwords, nil, 0o600))
	for _, name := range who {
		if out, err := exec.Command("mosquitto_passwd", "-b", passwords, name, Password(name)).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
	}
	check(os.WriteFile(filepath.Join(dir, "acl"), []byte(block("acl")), 0o600))
	plain, secure := FreePort(t), FreePort(t)
	conf := block("conf")
	for from, to := range map[string]string{
		"listener 1883 127.0.0.1": "listener " + plain + " 127.0.0.1", "listener 8883": "listener " + secure + " 127.0.0.1",
		"/etc/mosquitto/": dir + "/", "/var/lib/mosquitto/": dir + "/data/",
	} {
		if !strings.Contains(conf, from) {
			t.Fatalf("%s lacks %q", page, from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	d.Secure = "mqtts://127.0.0.1:" + secure
	d.Mosquitto = StartMosquittoWith(t, conf, net.JoinHostPort("127.0.0.1", plain))
	return d
}

// Password is the password of a name at a Documented.
func Password(name string) string { return "secret-" + name }
