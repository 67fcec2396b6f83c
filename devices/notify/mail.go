package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// sendMail speaks SMTP, never in the clear: smtps:// begins with TLS, smtp://
// goes over to it with STARTTLS or fails.
func (s *Sender) sendMail(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	to, err := mail.ParseAddress(m.To)
	if err != nil {
		return hopeless(problemSetup("%q is no mail address", m.To))
	}
	from, err := mail.ParseAddress(ch.From)
	if err != nil {
		return hopeless(problemSetup("%q is no mail address", ch.From).At("from"))
	}
	if err := s.deliverMail(ctx, ch, from.Address, to.Address, mailText(m, from, to)); err != nil {
		var said *textproto.Error
		switch {
		case errors.As(err, &said) && said.Code >= 500:
			return hopeless(problemRefused("the mail server refused: %d %s", said.Code, said.Msg))
		case errors.As(err, &said):
			return station.Delivery{}, problemBusy("the mail server does not take it now: %d %s", said.Code, said.Msg)
		}
		return station.Delivery{}, err
	}
	return station.Delivery{State: "sent"}, nil
}

func (s *Sender) deliverMail(ctx context.Context, ch station.ChannelLink, from, to string, text []byte) error {
	u, err := url.Parse(ch.URL)
	if err != nil {
		return problemSetup("the address cannot be read").At("url")
	}
	config, err := tlsConfig(ch)
	if err != nil {
		return err
	}
	config.ServerName = u.Hostname()
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtps": "465"}[u.Scheme]
	}
	if port == "" {
		port = "587"
	}
	line, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return problemUnreachable("the mail server cannot be reached: %v", err)
	}
	defer line.Close()
	// net/smtp knows no context: when it ends, so does the connection.
	defer context.AfterFunc(ctx, func() { _ = line.SetDeadline(time.Unix(1, 0)) })()
	var conn net.Conn = &boundedConn{Conn: line, left: 4 * maxAnswer}
	if u.Scheme == "smtps" {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, u.Hostname())
	if err != nil {
		return err
	}
	if u.Scheme != "smtps" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return problemRefused("the mail server offers no STARTTLS, and nothing is sent in the clear")
		}
		if err := c.StartTLS(config); err != nil {
			return problemUnreachable("TLS with the mail server: %v", err)
		}
	}
	if ch.Username != "" {
		if err := c.Auth(passwordAuth(c, ch, u.Hostname())); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the mail has been taken; how we part does not matter
	return nil
}

// passwordAuth is PLAIN, or LOGIN where a server knows nothing better.
func passwordAuth(c *smtp.Client, ch station.ChannelLink, host string) smtp.Auth {
	_, offered := c.Extension("AUTH")
	if methods := strings.Fields(offered); !slices.Contains(methods, "PLAIN") && slices.Contains(methods, "LOGIN") {
		return &loginAuth{ch.Username, ch.Secret}
	}
	return smtp.PlainAuth("", ch.Username, ch.Secret.Reveal(), host)
}

// loginAuth answers the two questions of AUTH LOGIN.
type loginAuth struct {
	user   string
	secret station.Secret
}

func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

func (a *loginAuth) Next(question []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	if strings.HasPrefix(strings.ToLower(string(question)), "user") {
		return []byte(a.user), nil
	}
	return []byte(a.secret.Reveal()), nil
}

// mailText is the mail as it goes over the line. Its Message-ID is the same for
// every try, so that a mailbox can know it again.
func mailText(m station.Message, from, to *mail.Address) []byte {
	_, domain, _ := strings.Cut(from.Address, "@")
	var b strings.Builder
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", to.String()},
		{"Subject", mime.BEncoding.Encode("utf-8", cut(title(m), 200))},
		{"Date", m.At.Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.Key + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	for body := base64.StdEncoding.EncodeToString([]byte(long(m))); body != ""; {
		n := min(76, len(body))
		b.WriteString(body[:n] + "\r\n")
		body = body[n:]
	}
	return []byte(b.String())
}

// boundedConn reads no more than a mail server has any reason to say: net/textproto
// would keep a line of any length.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the other side says too much: %w", io.ErrUnexpectedEOF)
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
