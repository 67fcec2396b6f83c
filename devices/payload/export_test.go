package payload

// Flat reads a flat object in a single pass; not ok is that it is left to
// encoding/json.
func Flat(b []byte) (map[string]any, bool) {
	all, ok := flat(b, nil)
	m := map[string]any{}
	for _, p := range all {
		m[p.name] = p.value
	}
	return m, ok
}
