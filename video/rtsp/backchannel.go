package rtsp

import (
	"bytes"
	"strconv"
	"strings"

	"stationd/video/stream"
)

// What cameras write of their backchannel is worse than what they write of their
// pictures: one offers eight formats of which two are described so that the
// library gives the whole description up. So only what a voice can be sent to is
// left in it, which is one format of one track.

// maxName bounds what is repeated of a camera's own words.
const maxName = 24

// onlyBackchannel cuts a description down to the track that takes a voice, and
// tells which. Of one without such a track only the head is left.
func onlyBackchannel(sdp []byte) ([]byte, Loudspeaker) {
	head, sections := cutSections(sdp)
	var opus []byte
	var l Loudspeaker
	for _, s := range sections {
		kind, formats := s.media()
		if kind != "audio" || !s.sendOnly() {
			continue
		}
		for _, pt := range formats {
			codec, name := s.format(pt)
			switch {
			case codec == stream.PCMA || codec == stream.PCMU:
				return append(head, s.with(pt)...), Loudspeaker{Codec: codec}
			case codec != "" && opus == nil:
				opus = s.with(pt)
			case codec == "" && l.Other == "":
				l.Other = name
			}
		}
	}
	if opus != nil {
		return append(head, opus...), Loudspeaker{Codec: stream.Opus}
	}
	return head, l
}

// section is a track's lines, the first of which begins with "m=".
type section []string

func cutSections(sdp []byte) (head []byte, all []section) {
	for line := range bytes.Lines(sdp) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case strings.HasPrefix(text, "m="):
			all = append(all, section{text})
		case len(all) > 0:
			all[len(all)-1] = append(all[len(all)-1], text)
		case text != "":
			head = append(append(head, text...), "\r\n"...)
		}
	}
	return head, all
}

// media is the kind of the track and its payload types.
func (s section) media() (kind string, formats []string) {
	fields := strings.Fields(strings.TrimPrefix(s[0], "m="))
	if len(fields) < 4 || strings.Contains(fields[2], "SAVP") {
		return "", nil
	}
	return fields[0], fields[3:]
}

func (s section) sendOnly() bool {
	for _, line := range s {
		if line == "a=sendonly" {
			return true
		}
	}
	return false
}

// attribute is what an attribute says of a payload type.
func (s section) attribute(name, pt string) string {
	for _, line := range s {
		if rest, ok := strings.CutPrefix(line, "a="+name+":"); ok {
			if of, what, _ := strings.Cut(strings.TrimSpace(rest), " "); of == pt {
				return strings.TrimSpace(what)
			}
		}
	}
	return ""
}

// format is the codec of package stream that a payload type stands for, where a
// voice can be sent in it, and what its maker calls it.
func (s section) format(pt string) (codec, name string) {
	switch pt { // RFC 3551, whatever else is written
	case "0":
		return stream.PCMU, ""
	case "8":
		return stream.PCMA, ""
	}
	if _, err := strconv.ParseUint(pt, 10, 7); err != nil || len(pt) > 3 {
		return "", "nothing known"
	}
	encoding, rest, _ := strings.Cut(s.attribute("rtpmap", pt), "/")
	rate, channels, _ := strings.Cut(rest, "/")
	switch encoding = strings.ToUpper(encoding); encoding {
	case "PCMA", "PCMU":
		if rate == "8000" && (channels == "" || channels == "1") {
			return encoding, ""
		}
		return "", "G.711 with another sample rate"
	case "OPUS":
		if rate == "48000" && channels == "2" {
			return stream.Opus, ""
		}
		return "", "Opus with another sample rate"
	case "MPEG4-GENERIC", "MP4A-LATM", "AAC":
		return "", "AAC"
	case "G722":
		return "", "G.722"
	case "":
		return "", "payload type " + pt
	}
	if strings.HasPrefix(encoding, "G726") || strings.HasPrefix(encoding, "AAL2-G726") {
		return "", "G.726"
	}
	return "", plain(encoding)
}

// with is the track with that one format.
func (s section) with(pt string) []byte {
	fields := strings.Fields(s[0])
	out := strings.Join(append(fields[:3:3], pt), " ") + "\r\n"
	for _, line := range s[1:] {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "a="), ":")
		if of, _, _ := strings.Cut(strings.TrimSpace(rest), " "); (name == "rtpmap" || name == "fmtp") && of != pt {
			continue
		}
		out += line + "\r\n"
	}
	return []byte(out)
}

// plain is a stranger's word, short and without signs that could be anything else.
func plain(word string) string {
	word = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, word)
	return word[:min(len(word), maxName)]
}
