package protocol_test

import (
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

func TestClaimCodes(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		c := protocol.NewClaimCode([]byte("key"))
		text := c.String()
		if len(text) != 39 || seen[text] || !c.IsOf([]byte("key")) || c.IsOf([]byte("another")) {
			t.Fatal(text)
		}
		seen[text] = true
		for _, typed := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", " "), " centre.example:443/" + strings.ReplaceAll(text, "0", "o"), "[fe80::1]:99/" + strings.ReplaceAll(text, "1", "l")} {
			address, again, err := protocol.ParseClaim(typed)
			if err != nil || again != c || strings.Contains(typed, "/") == (address == "") {
				t.Fatalf("%q: %q %v", typed, address, err)
			}
		}
	}
	for typed, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:8884", "centre.example.cn": "centre.example.cn:8884", "https://c:1": "c:1", "[::1]:5": "[::1]:5", "": "", "a b": "", "x:0": "", "x:99999": "", "u@x": "",
	} {
		if got, err := protocol.EnrolmentAddress(typed); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", typed, got, err)
		}
	}
}

// Every single letter that is wrong is noticed, before the code goes anywhere, in
// nearly all cases.
func TestClaimCodeSlips(t *testing.T) {
	text := protocol.NewClaimCode([]byte("key")).String()
	missed := 0
	for i := range text {
		if text[i] == '-' {
			continue
		}
		for _, r := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if typed := text[:i] + string(r) + text[i+1:]; typed != text {
				if _, _, err := protocol.ParseClaim(typed); err == nil {
					missed++
				}
			}
		}
	}
	if missed > 20 { // of 992; four are to be expected
		t.Errorf("%d slips are not noticed", missed)
	}
}

func FuzzParseClaim(f *testing.F) {
	f.Add(protocol.NewClaimCode([]byte("key")).String())
	f.Add("centre:8884/" + protocol.NewClaimCode([]byte("key")).String())
	f.Add("[::1]/0000-0000")
	f.Add("/")
	f.Fuzz(func(t *testing.T, typed string) {
		address, c, err := protocol.ParseClaim(typed)
		if err != nil {
			if p, ok := station.AsProblem(err); !ok || p.Hint == "" {
				t.Fatalf("%v without a remedy", err)
			}
			return
		}
		again, same, err := protocol.ParseClaim(strings.TrimPrefix(address+"/"+c.String(), "/"))
		if err != nil || same != c || again != address {
			t.Fatalf("%q is read as %q %v, and that as %q %v", typed, address, c, again, err)
		}
	})
}
