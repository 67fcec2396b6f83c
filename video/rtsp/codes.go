package rtsp

import "strings"

// CodeOf is a short name for a cause that a source tells, for those who have words
// of their own for it; "failed" for one that has none.
func CodeOf(cause string) string {
	for _, c := range []struct{ begins, code string }{
		{"the camera's host name is unknown", "host"},
		{"nothing listens", "port"},
		{"there is no way to", "unreachable"},
		{"the camera does not answer", "timeout"},
		{"the camera has stopped sending", "timeout"},
		{"the camera refuses the user name", "password"},
		{"the camera asks for a user name", "login"},
		{"the camera asks for a way of logging in", "scheme"},
		{"the camera's account may not", "rights"},
		{"the camera has no free session", "no-slot"},
		{"the camera does not know this stream", "path"},
		{"the camera does not send its video", "transport"},
		{"the camera does not speak TLS", "tls"},
		{"the camera sends us to another", "redirect"},
		{"the camera is connected, but nothing of it comes over UDP", "udp"},
		{"the camera is connected but sends no picture", "no-picture"},
		{"the camera sends no key picture", "no-key"},
		{"there is no video", "no-video"},
		{"the camera has closed", "closed"},
		{"the address cannot be used", "address"},
		{"this is no RTSP address", "address"},
	} {
		if strings.HasPrefix(cause, c.begins) {
			return c.code
		}
	}
	switch {
	case strings.Contains(cause, "certificate"):
		return "certificate"
	case strings.HasPrefix(cause, "the camera sends") && strings.Contains(cause, "not supported"):
		return "format"
	}
	return "failed"
}
