package broker

import "strings"

// Overlap tells whether some topic matches both filters.
func Overlap(a, b string) bool {
	if system(a) != system(b) && (strings.HasPrefix(a, "+") || strings.HasPrefix(a, "#") || strings.HasPrefix(b, "+") || strings.HasPrefix(b, "#")) {
		return false // wildcards do not reach the server's own topics
	}
	for {
		x, xs, xMore := strings.Cut(a, "/")
		y, ys, yMore := strings.Cut(b, "/")
		if x == "#" || y == "#" {
			return true
		}
		if x != y && x != "+" && y != "+" {
			return false
		}
		switch {
		case xMore && yMore:
			a, b = xs, ys
		case xMore:
			return xs == "#"
		case yMore:
			return ys == "#"
		default:
			return true
		}
	}
}

func system(filter string) bool { return strings.HasPrefix(filter, "$") }
