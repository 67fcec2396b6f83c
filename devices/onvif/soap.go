package onvif

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/simplifiedchinese"

	"stationd/agent/station"
)

// maxAnswer bounds one answer. The list of profiles of a recorder with 64 channels
// is some 400 KB.
const maxAnswer = 2 << 20

// namespaces are those of the prefixes that requests are written with.
const namespaces = ` xmlns:s="http://www.w3.org/2003/05/soap-envelope"` +
	` xmlns:onvif="http://www.onvif.org/ver10/schema"` +
	` xmlns:tds="http://www.onvif.org/ver10/device/wsdl"` +
	` xmlns:trt="http://www.onvif.org/ver10/media/wsdl"` +
	` xmlns:tr2="http://www.onvif.org/ver20/media/wsdl"` +
	` xmlns:tptz="http://www.onvif.org/ver20/ptz/wsdl"` +
	` xmlns:tev="http://www.onvif.org/ver10/events/wsdl"` +
	` xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"` +
	` xmlns:wsa="http://www.w3.org/2005/08/addressing"`

// envelope writes a request: header is XML, body something to marshal.
func envelope(header string, body any) ([]byte, error) {
	inner, err := xml.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<s:Envelope" + namespaces + "><s:Header>" + header + "</s:Header><s:Body>")
	b.Write(inner)
	b.WriteString("</s:Body></s:Envelope>")
	return b.Bytes(), nil
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return b.String()
}

// fault is what a device says instead of an answer, in either version of SOAP.
type fault struct {
	Code struct {
		Value   string `xml:"Value"`
		Subcode struct {
			Value   string `xml:"Value"`
			Subcode struct {
				Value string `xml:"Value"`
			} `xml:"Subcode"`
		} `xml:"Subcode"`
	} `xml:"Code"`
	Reason struct {
		Text string `xml:"Text"`
	} `xml:"Reason"`
	OldCode   string `xml:"faultcode"`
	OldReason string `xml:"faultstring"`
}

func (f *fault) Error() string {
	return strings.TrimSpace(plainText(strings.Join([]string{
		f.Code.Value, f.Code.Subcode.Value, f.Code.Subcode.Subcode.Value, f.OldCode, f.Reason.Text, f.OldReason,
	}, " ")))
}

// says tells whether one of the fault's codes is among these, whatever their prefix.
func (f *fault) says(codes ...string) bool {
	for _, code := range []string{f.Code.Subcode.Value, f.Code.Subcode.Subcode.Value, f.OldCode, f.Code.Value} {
		_, local, found := strings.Cut(code, ":")
		if !found {
			local = code
		}
		for _, c := range codes {
			if strings.EqualFold(strings.TrimSpace(local), c) {
				return true
			}
		}
	}
	return false
}

// denied tells whether the fault is about who asks. Some say it in the reason alone.
func (f *fault) denied() bool {
	if f.says("NotAuthorized", "FailedAuthentication", "OperationProhibited", "Unauthorized") {
		return true
	}
	reason := strings.ToLower(f.Reason.Text + f.OldReason)
	return strings.Contains(reason, "not authorized") || strings.Contains(reason, "authority failure")
}

var errNoEnvelope = errors.New("the answer is no SOAP message")

// open reads an answer into reply, which may be nil; a fault is the error. It reads
// no more than in gives.
func open(in io.Reader, reply any) error {
	d := xml.NewDecoder(in)
	d.CharsetReader = charset
	inBody := false
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Join(errNoEnvelope, err)
		}
		switch el := token.(type) {
		case xml.Directive:
			return errors.Join(errNoEnvelope, errors.New("it declares a document type"))
		case xml.EndElement:
			if inBody { // an empty body
				return nil
			}
		case xml.StartElement:
			switch {
			case !inBody && el.Name.Local == "Envelope":
			case !inBody && el.Name.Local == "Body":
				inBody = true
			case !inBody: // the header, or no SOAP at all
				if err := d.Skip(); err != nil {
					return errors.Join(errNoEnvelope, err)
				}
			case el.Name.Local == "Fault":
				f := new(fault)
				if err := d.DecodeElement(f, &el); err != nil {
					return errors.Join(errNoEnvelope, err)
				}
				return f
			case reply == nil:
				return nil
			default:
				return d.DecodeElement(reply, &el)
			}
		}
	}
}

// charset lets in what cameras of this market write beside UTF-8.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return in, nil
	case "gb2312", "gbk", "gb18030":
		return simplifiedchinese.GB18030.NewDecoder().Reader(in), nil
	}
	return nil, fmt.Errorf("the encoding %q is not known", plainText(name))
}

// plainText is a device's own words fit to be shown and logged.
func plainText(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// fromFault says a device's fault in our words.
func fromFault(what string, f *fault) error {
	switch {
	case f.denied():
		return errDenied
	case f.says("ActionNotSupported", "OptionalActionNotImplemented", "NotImplemented"):
		return errUnsupported.At(what)
	}
	return station.Errorf(502, "onvif.fault", "what the device says may help; its firmware may need an update", "the device refuses: %s", f.Error()).At(what)
}
