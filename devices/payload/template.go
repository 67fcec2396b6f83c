package payload

import (
	"fmt"
	"slices"
	"strings"
)

// A phrase makes a text of what a message holds: "{gateway}/{.deviceName}". A name
// in braces is a capture of the topic or of a path; with a dot before it, or with
// "$.", it is a path into the payload. "{{" is a brace.
//
// A phrase of which a part is missing is empty; of several, the first that is not
// empty counts.
type phrase struct{ parts []phrasePart }

type phrasePart struct {
	text    string
	capture string
	path    *dataPath
}

func parsePhrase(text string) (phrase, error) {
	var p phrase
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			p.parts = append(p.parts, phrasePart{text: plain.String()})
			plain.Reset()
		}
	}
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "}}"):
			plain.WriteByte(text[0])
			text = text[2:]
		case text[0] == '{':
			end := closing(text)
			if end < 0 {
				return p, fmt.Errorf("%q opens a brace and does not close it", text)
			}
			inside := text[1:end]
			text = text[end+1:]
			flush()
			switch {
			case inside == "":
				return p, fmt.Errorf("there is nothing between the braces")
			case inside[0] == '.' || inside[0] == '$':
				path, err := parsePath(strings.TrimPrefix(inside, "."))
				if err != nil {
					return p, err
				}
				p.parts = append(p.parts, phrasePart{path: &path})
			default:
				p.parts = append(p.parts, phrasePart{capture: inside})
			}
		default:
			plain.WriteByte(text[0])
			text = text[1:]
		}
	}
	flush()
	return p, nil
}

// closing finds the brace that closes the first one.
func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (p phrase) captures() []string {
	var names []string
	for _, part := range p.parts {
		if part.capture != "" {
			names = append(names, part.capture)
		}
	}
	return names
}

func (p phrase) write(from place) string {
	var out strings.Builder
	for _, part := range p.parts {
		text := part.text
		switch {
		case part.capture != "":
			text = from.names[part.capture]
		case part.path != nil:
			v, _ := part.path.firstScalar(from)
			text = textOf(v)
		}
		if text == "" {
			return ""
		}
		out.WriteString(text)
		if out.Len() > MaxText {
			break
		}
	}
	return clip(strings.ToValidUTF8(out.String(), "�"))
}

// phrases are alternatives.
type phrases []phrase

func (ps phrases) write(from place) string {
	for _, p := range ps {
		if text := p.write(from); text != "" {
			return text
		}
	}
	return ""
}

func (ps phrases) captures() []string {
	var names []string
	for _, p := range ps {
		names = append(names, p.captures()...)
	}
	return names
}

// topicPattern is a topic with names for some of its levels:
// "application/{app}/device/{device}/event/up". A "{rest+}" at the end is one
// level or more, "+" one level without a name, "#" at the end any that follow.
type topicPattern struct{ levels []string }

func parseTopicPattern(text string) (topicPattern, error) {
	p := topicPattern{strings.Split(text, "/")}
	if text == "" || len(p.levels) > 32 {
		return p, fmt.Errorf("%q is no topic", text)
	}
	for i, level := range p.levels {
		last := i == len(p.levels)-1
		switch {
		case level == "#", isCapture(level) && strings.HasSuffix(level, "+}"):
			if !last {
				return p, fmt.Errorf("%q may only stand at the end of a topic", level)
			}
		case level == "+", isCapture(level):
		case strings.ContainsAny(level, "{}#+"):
			return p, fmt.Errorf("%q must stand alone in its level", level)
		}
	}
	return p, nil
}

func isCapture(level string) bool {
	return len(level) > 2 && level[0] == '{' && level[len(level)-1] == '}'
}

func (p topicPattern) captures() []string {
	var names []string
	for _, level := range p.levels {
		if isCapture(level) {
			names = append(names, strings.TrimSuffix(level[1:len(level)-1], "+"))
		}
	}
	return names
}

// filter is the MQTT filter of the topics that the pattern fits.
func (p topicPattern) filter() string {
	levels := slices.Clone(p.levels)
	for i, level := range levels {
		switch {
		case isCapture(level) && strings.HasSuffix(level, "+}"):
			levels[i] = "#"
		case isCapture(level):
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// match gives the captured names when the topic fits.
func (p topicPattern) match(topic string) (map[string]string, bool) {
	var names map[string]string
	levels := strings.SplitN(topic, "/", 128)
	for i, level := range p.levels {
		if level == "#" {
			return names, true
		}
		if i >= len(levels) {
			return nil, false
		}
		switch here := levels[i]; {
		case isCapture(level) && strings.HasSuffix(level, "+}"):
			rest := strings.Join(levels[i:], "/")
			return capture(names, level[1:len(level)-2], rest), rest != ""
		case isCapture(level):
			if here == "" {
				return nil, false
			}
			names = capture(names, level[1:len(level)-1], here)
		case level != "+" && level != here:
			return nil, false
		}
	}
	return names, len(levels) == len(p.levels)
}

func capture(names map[string]string, name, value string) map[string]string {
	if names == nil {
		names = map[string]string{}
	}
	names[name] = clip(value)
	return names
}
