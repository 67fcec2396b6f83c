package broker

import (
	"strings"
	"unicode/utf8"
)

// ValidTopic tells whether a message can be published to topic.
func ValidTopic(topic string) bool {
	return topic != "" && len(topic) <= 65535 && utf8.ValidString(topic) && !strings.ContainsAny(topic, "+#\x00")
}

// ValidFilter tells whether filter can be subscribed to: wildcards stand alone
// in their level, and "#" only at the end.
func ValidFilter(filter string) bool {
	if filter == "" || len(filter) > 65535 || !utf8.ValidString(filter) || strings.ContainsRune(filter, 0) {
		return false
	}
	for {
		level, rest, more := strings.Cut(filter, "/")
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && more {
			return false
		}
		if !more {
			return true
		}
		filter = rest
	}
}

// Match tells whether a message to topic belongs to filter (MQTT 3.1.1, 4.7).
func Match(filter, topic string) bool {
	return Covers(filter, topic) && !strings.ContainsAny(topic, "+#")
}

// Covers tells whether everything that matches inner matches filter too, so that
// who may have the one may have the other.
func Covers(filter, inner string) bool {
	if strings.HasPrefix(inner, "$") && !strings.HasPrefix(filter, "$") {
		return false // wildcards do not reach the server's own topics
	}
	for {
		level, rest, more := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		innerLevel, innerRest, innerMore := strings.Cut(inner, "/")
		if innerLevel == "#" || level != "+" && level != innerLevel {
			return false
		}
		switch {
		case more && innerMore:
			filter, inner = rest, innerRest
		case more:
			return rest == "#" // "a/#" covers "a"
		default:
			return !innerMore
		}
	}
}

// Some device clouds have devices publish below "$sys/". mochi takes that for the
// server's own "$SYS/", whatever its case, and drops it without a word: inside
// mochi such a topic has another name.
const (
	cloudTopics  = "$sys/"
	hiddenTopics = "$device-sys/"
)

func inward(topic string) string {
	if rest, ok := strings.CutPrefix(topic, cloudTopics); ok {
		return hiddenTopics + rest
	}
	return topic
}

func outward(topic string) string {
	if rest, ok := strings.CutPrefix(topic, hiddenTopics); ok {
		return cloudTopics + rest
	}
	return topic
}
