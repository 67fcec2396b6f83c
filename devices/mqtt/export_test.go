package mqtt

// Probed tells whether the broker has been probed.
func (l *Link) Probed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.found.probedAt.IsZero()
}
