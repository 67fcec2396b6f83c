package notify_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/notify"
)

// mailServer is a small SMTP server that speaks STARTTLS or TLS from the start.
type mailServer struct {
	t        *testing.T
	ln       net.Listener
	tls      *tls.Config
	ca       string
	implicit bool
	offer    string // what AUTH offers
	refuse   map[string]string
	wg       sync.WaitGroup

	mu    sync.Mutex
	mails []string
	said  []string
}

func startMail(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	s := &mailServer{t: t, tls: borrowed.TLS.Clone(), offer: "PLAIN LOGIN", refuse: map[string]string{}}
	s.tls.NextProtos = nil
	s.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: borrowed.Certificate().Raw}))
	borrowed.Close()
	change(s)
	var err error
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.wg.Go(func() {
		for {
			conn, err := s.ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { s.ln.Close(); s.wg.Wait() })
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := false
	if s.implicit {
		conn, secure = tls.Server(conn, s.tls), true
	}
	in := bufio.NewReader(conn)
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	if text, ok := s.refuse["greeting"]; ok {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	say("220 mail.example.org")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		s.mu.Lock()
		s.said = append(s.said, line)
		s.mu.Unlock()
		if text, ok := s.refuse[verb]; ok {
			say(text)
			continue
		}
		switch verb {
		case "EHLO":
			if secure {
				say("250-mail.example.org")
				say("250 AUTH " + s.offer)
			} else {
				say("250-mail.example.org")
				say("250 STARTTLS")
			}
		case "STARTTLS":
			say("220 go")
			conn, secure = tls.Server(conn, s.tls), true
			in = bufio.NewReader(conn)
		case "AUTH":
			if strings.HasPrefix(line, "AUTH LOGIN") {
				say("334 " + base64.StdEncoding.EncodeToString([]byte("Username:")))
				user, _ := in.ReadString('\n')
				say("334 " + base64.StdEncoding.EncodeToString([]byte("Password:")))
				password, _ := in.ReadString('\n')
				s.mu.Lock()
				s.said = append(s.said, "LOGIN "+strings.TrimSpace(user)+" "+strings.TrimSpace(password))
				s.mu.Unlock()
			}
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				text.WriteString(l)
			}
			s.mu.Lock()
			s.mails = append(s.mails, text.String())
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *mailServer) channel() station.ChannelLink {
	scheme := "smtp"
	if s.implicit {
		scheme = "smtps"
	}
	return station.ChannelLink{Secret: secret, Channel: station.Channel{
		Kind: station.ChannelMail, URL: scheme + "://" + s.ln.Addr().String(), Username: "station", From: "工作站 <station@example.org>", Authority: s.ca,
	}}
}

func TestMail(t *testing.T) {
	m := message()
	m.To = "zhangsan@example.org"
	plain := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00station\x00"+secret))
	login := "LOGIN " + base64.StdEncoding.EncodeToString([]byte("station")) + " " + base64.StdEncoding.EncodeToString([]byte(secret))
	for name, c := range map[string]struct {
		change func(*mailServer)
		auth   string
	}{
		"STARTTLS":     {func(*mailServer) {}, plain},
		"TLS at once":  {func(s *mailServer) { s.implicit = true }, plain},
		"LOGIN at all": {func(s *mailServer) { s.offer = "LOGIN" }, login},
	} {
		t.Run(name, func(t *testing.T) {
			s := startMail(t, c.change)
			d, err := sender().Send(t.Context(), s.channel(), m)
			if err != nil || d.State != "sent" {
				t.Fatal(d, err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if said := strings.Join(s.said, "\n"); !strings.Contains(said, c.auth) || !strings.Contains(said, "RCPT TO:<zhangsan@example.org>") {
				t.Errorf("%s", said)
			}
			msg, err := mail.ReadMessage(strings.NewReader(s.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, msg.Body))
			if err != nil || !strings.Contains(string(body), "3号楼 1202 室") || !strings.Contains(string(body), m.Link) {
				t.Errorf("%s %v", body, err)
			}
			if msg.Header.Get("Message-ID") != "<019aa-key@example.org>" {
				t.Error(msg.Header)
			}
		})
	}
}

func TestMailRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse map[string]string
		code   string
		final  bool
	}{
		"wrong password, repeated": {map[string]string{"AUTH": "535 no: " + base64.StdEncoding.EncodeToString([]byte("\x00station\x00"+secret)) + " " + secret}, "notify.refused", true},
		"no such mailbox":          {map[string]string{"RCPT": "550 nobody"}, "notify.refused", true},
		"greylisted":               {map[string]string{"RCPT": "451 later"}, "notify.busy", false},
		"no STARTTLS":              {map[string]string{"EHLO": "250 mail.example.org"}, "notify.refused", false},
		"an endless line":          {map[string]string{"greeting": "220 " + strings.Repeat("x", 1<<20)}, "notify.unreachable", false},
		"silence":                  {map[string]string{"greeting": ""}, "notify.unreachable", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := startMail(t, func(s *mailServer) { s.refuse = c.refuse })
			m := message()
			m.To = "zhangsan@example.org"
			send := sender(func(c *notify.Config, _ *notify.Deps) { c.Timeout = 3 * time.Second })
			d, err := send.Send(t.Context(), s.channel(), m)
			p := fails(t, d, err, c.code, c.final)
			if strings.Contains(p.Message, base64.StdEncoding.EncodeToString([]byte("\x00station\x00"+secret))) {
				t.Errorf("%s", p.Message)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, line := range s.said {
				if strings.Contains(name, "STARTTLS") && strings.HasPrefix(line, "AUTH") {
					t.Error("the password went out in the clear")
				}
			}
		})
	}
	// A mail server with another certificate than it should have.
	s := startMail(t, func(*mailServer) {})
	ch := s.channel()
	ch.Authority = ""
	m := message()
	m.To = "zhangsan@example.org"
	d, err := sender().Send(t.Context(), ch, m)
	fails(t, d, err, "notify.unreachable", false)
	m.To = "nobody\r\nBcc: x@example.org"
	d, err = sender().Send(t.Context(), ch, m)
	fails(t, d, err, "notify.setup", true)
}
