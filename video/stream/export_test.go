package stream

// Held is how many units the stream's log holds, HeldBytes their size.
func Held(s *Stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.log.len())
}

func HeldBytes(s *Stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.bytes
}

// Publish hands a finished unit to the readers, as Write does.
func Publish(s *Stream, u *Unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish(u)
}

// HeldSounds is how many units of sound are held.
func HeldSounds(s *Stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.sounds.len())
}

// PublishSound hands a finished unit of sound to the readers.
func PublishSound(s *Stream, u *Unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.after = s.log.head
	s.publishSound(u)
}

// ParseSPS returns the size and whether pictures may be reordered.
func ParseSPS(nalu []byte, h265 bool) (width, height int, mayReorder bool, err error) {
	p, err := parseSPS(nalu, h265)
	return p.width, p.height, p.mayReorder, err
}
