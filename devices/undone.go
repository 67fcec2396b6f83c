package devices

import "sync"

// undone keeps what was heard in messages that could not be stored as a whole, for
// when they come again: a family with a memory must not read a message twice, and
// what is stored of it must not be stored twice. Beyond maxUndone the one that is
// met first gives way; it is read afresh then.
type undone struct {
	mu  sync.Mutex
	all map[transmission]*heard
}

const maxUndone = 512

// transmission names a message on its way, also one of QoS 0.
type transmission struct {
	link    string
	packet  uint16
	content uint64
}

func (m *message) transmission() transmission {
	return transmission{m.link(), m.packetID, m.content()}
}

// take returns what was heard in m before, nil when it comes for the first time.
func (u *undone) take(m *message) *heard {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 0 {
		return nil
	}
	k := m.transmission()
	h := u.all[k]
	delete(u.all, k)
	if !m.duplicate {
		return nil
	}
	return h
}

func (u *undone) put(m *message, h *heard) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[transmission]*heard{}
	}
	for k := range u.all {
		if len(u.all) < maxUndone {
			break
		}
		delete(u.all, k)
	}
	u.all[m.transmission()] = h
}
