package payload

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Payloads that are no JSON: a bare value ("ON", "21.5"), or pairs of names and
// values ("temp=21.5;smoke=0").

// bareValue is a payload that is one value: a number if it looks like one, or
// else a text.
func bareValue(payload []byte) any {
	text := strings.TrimSpace(string(payload))
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "�")
	}
	if isNumber(text) {
		return json.Number(text)
	}
	return text
}

// isNumber tells whether the whole text is a decimal number as JSON writes it.
func isNumber(text string) bool {
	if text == "" || len(text) > 32 || strings.ContainsAny(text, "xXpP_nNiI") {
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// pairs reads "name=value" parts that are separated by commas, semicolons, "&",
// blanks or new lines; a colon may stand for "=". Parts that are no pair are left
// out; false when there is none.
func pairs(payload []byte) (map[string]any, bool) {
	if len(payload) > MaxPayload || !utf8.Valid(payload) {
		return nil, false
	}
	found := map[string]any{}
	rest := string(payload)
	for rest != "" && len(found) < 4*MaxFields {
		end := strings.IndexAny(rest, ",;&\n\r\t ")
		part := rest
		if end < 0 {
			rest = ""
		} else {
			part, rest = rest[:end], rest[end+1:]
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			name, value, ok = strings.Cut(part, ":")
		}
		name, value = strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"'`)
		if !ok || name == "" || value == "" || len(name) > MaxText {
			continue
		}
		if isNumber(value) {
			found[name] = json.Number(value)
		} else {
			found[name] = clip(value)
		}
	}
	return found, len(found) > 0
}

// quantity reads a number with or without a unit behind it: "3.384 V", "45%".
func quantity(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && strings.IndexByte("0123456789+-.eE", text[end]) >= 0 {
		end++
	}
	for ; end > 0; end-- { // "5 E" and "2e" are numbers with something behind them
		if f, err := strconv.ParseFloat(text[:end], 64); err == nil {
			return f, true
		}
	}
	return 0, false
}
