package store

// cache keeps what the committer has read and written, so that the sensor that
// reports every few seconds need not be looked up in Badger each time. It is
// the committer's own: since nobody else writes, what is in it is what is
// stored. What is not there is remembered too: most sensors have no alarm.
//
// It has two generations. When the young one is full it becomes the old one,
// and what was in the old one and has not been asked for since is forgotten.
type cache struct {
	young, old map[string]*cached
	size, most int // bytes of the young one
}

// cached is one record: its bytes, and what Look made of them. Nil bytes stand
// for a record that is not there.
type cached struct {
	raw     []byte
	decoded any
}

// cacheSize is the most that one generation holds, in bytes: 2,000 sensors with
// their states, and as many alarms.
const cacheSize = 8 << 20

func newCache(most int) *cache {
	return &cache{young: make(map[string]*cached), old: make(map[string]*cached), most: most}
}

// get returns what is cached of k, nil for nothing.
func (c *cache) get(k string) *cached {
	if e, ok := c.young[k]; ok {
		return e
	}
	e, ok := c.old[k]
	if !ok {
		return nil
	}
	c.enter(k, e)
	return e
}

// put notes that k holds raw.
func (c *cache) put(k string, raw []byte) *cached {
	e := &cached{raw: raw}
	c.enter(k, e)
	return e
}

func (c *cache) enter(k string, e *cached) {
	if before, ok := c.young[k]; ok {
		c.size -= cost(k, before.raw)
	}
	c.young[k] = e
	c.size += cost(k, e.raw)
	if c.size > c.most {
		c.young, c.old = make(map[string]*cached, len(c.young)), c.young
		c.size = 0
	}
}

// wrote notes a batch that is committed, with what Keep was given. Rows of the
// journal are written once and read by others.
func (c *cache) wrote(writes map[string][]byte, kept map[string]any) {
	for k, v := range writes {
		if cacheable(k) {
			c.put(k, v).decoded = kept[k]
		}
	}
}

// cacheable tells whether a key is worth it: records are, and nothing else.
func cacheable(k string) bool { return len(k) > 2 && k[:2] == stateRealm }
