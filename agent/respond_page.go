package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net"
	"net/http"
	"strings"

	"stationd/agent/station"
)

// The page behind a signed link: what, where, when, and one button. It is made
// here and not in the console, for it must open in whatever browser a telephone
// has, with no script and nothing loaded.

const linkStyle = `body{font:18px/1.5 system-ui,sans-serif;margin:0;padding:24px;background:#f4f5f7;color:#16181d}
main{max-width:30em;margin:auto;background:#fff;border-radius:12px;padding:24px}
h1{font-size:32px;margin:0 0 8px;color:#b3141b}dl{margin:0 0 24px}dt{color:#5c6370;font-size:15px}dd{margin:0 0 8px}
button{font:inherit;font-size:24px;width:100%;padding:16px;border:0;border-radius:10px;background:#b3141b;color:#fff}
p.ok{font-size:24px;color:#146c2e;margin:0}p.who{color:#5c6370;font-size:15px}`

// linkPolicy lets the page do nothing but be read and send its form.
var linkPolicy = func() string {
	sum := sha256.Sum256([]byte(linkStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

var linkPage = template.Must(template.New("answer").Parse(`<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{{.Title}}</title><style>{{.Style}}</style></head><body><main>
{{if .Problem}}<h1>{{.Problem}}</h1><p>{{.Remedy}}</p>
{{else}}<h1>{{.Title}}</h1><dl>
{{range .Rows}}<dt>{{.Name}}</dt><dd>{{.Text}}</dd>
{{end}}</dl>
{{if .Done}}<p class="ok" role="status">{{.Done}}</p>{{else}}<form method="post"><button type="submit">{{.Button}}</button></form>{{end}}
<p class="who">{{.Who}}</p>
{{end}}</main></body></html>
`))

type linkRow struct{ Name, Text string }

type linkText struct {
	Lang, Title, Problem, Remedy, Done, Button, Who string
	Style                                           template.CSS
	Rows                                            []linkRow
}

func (a *Agent) getLink(w http.ResponseWriter, r *http.Request) error {
	v, _, err := a.link(r.PathValue("token"), addressOf(r))
	return writeLink(w, r, v, err)
}

func (a *Agent) postLink(w http.ResponseWriter, r *http.Request) error {
	v, err := a.answerByLink(r.Context(), r.PathValue("token"), addressOf(r))
	return writeLink(w, r, v, err)
}

func writeLink(w http.ResponseWriter, r *http.Request, v linkView, problem error) error {
	// Chinese unless the browser's first language is English.
	en := strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "en")
	say := func(zh, english string) string {
		if en {
			return english
		}
		return zh
	}
	text := linkText{Lang: say("zh-CN", "en"), Style: linkStyle}
	status := http.StatusOK
	if problem != nil {
		p, ok := station.AsProblem(problem)
		if !ok {
			return problem // the console logs it
		}
		status = p.Status
		text.Title = say("链接不能用", "This link cannot be used")
		text.Problem = text.Title
		text.Remedy = say("链接无效或已过期。请到值守台处理，或给工作站打电话。", "It is not valid, or no longer. Answer at the desk, or ring the station.")
		if p.Status == http.StatusTooManyRequests {
			text.Problem = say("请稍后再试", "Try again in a minute")
		} else if p.Code != errAnswerLink.Code {
			text.Problem, text.Remedy = say("没有记下", "It was not noted"), p.Message
		}
	} else {
		zh, english := v.Alarm.Kind.Words()
		text.Title, text.Button = say(zh, english), say("收到", "I have seen it")
		text.Rows = []linkRow{
			{say("地点", "Place"), v.Alarm.Place},
			{say("设备", "Device"), v.Alarm.Name},
			{say("时间", "Time"), v.Alarm.RaisedAt.Format("2006-01-02 15:04:05")},
			{say("来自", "From"), v.Station},
		}
		text.Who = say("以“"+v.Contact+"”的名义答复", "Answered in the name of "+v.Contact)
		switch {
		case v.Answered:
			text.Done = say("✓ 已记下：收到", "✓ Noted: seen")
		case !v.Alarm.Live():
			text.Done = say("这件告警已经结束", "This alarm is over")
		}
	}
	var b bytes.Buffer
	if err := linkPage.Execute(&b, text); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", linkPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	// With no-referrer a browser sends the form with the origin "null", which
	// the console takes for a foreign page.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the telephone is gone: nothing to tell it
	return nil
}

// addressOf is where a request comes from.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
