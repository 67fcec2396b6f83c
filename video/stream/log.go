package stream

// log holds the newest units, numbered from 1 on. Readers are places in it, so
// a unit is stored once however many there are.
type log struct {
	ring  []*Unit // a power of two long; unit n is at n modulo its length
	tail  uint64  // number of the oldest unit
	head  uint64  // number of the next unit
	bytes int
}

func newLog() log {
	return log{ring: make([]*Unit, 64), tail: 1, head: 1}
}

func (l *log) at(n uint64) *Unit { return l.ring[n&uint64(len(l.ring)-1)] }

func (l *log) len() uint64 { return l.head - l.tail }

func (l *log) add(u *Unit) {
	if l.len() == uint64(len(l.ring)) {
		grown := make([]*Unit, 2*len(l.ring))
		for n := l.tail; n < l.head; n++ {
			grown[n&uint64(len(grown)-1)] = l.at(n)
		}
		l.ring = grown
	}
	l.ring[l.head&uint64(len(l.ring)-1)] = u
	l.head++
	l.bytes += u.size
}

// release lets go of all units before number n, and of more until no more than
// most bytes are held. The newest unit always stays.
func (l *log) release(n uint64, most int) {
	for l.tail+1 < l.head && (l.tail < n || l.bytes > most) {
		l.drop()
	}
}

// drop lets go of the oldest unit.
func (l *log) drop() {
	slot := &l.ring[l.tail&uint64(len(l.ring)-1)]
	l.bytes -= (*slot).size
	*slot = nil
	l.tail++
}
