package payload

// Mapping is a family that is told by a mapping file.
type Mapping struct {
	name, title, source string
}

// Title is the family's name for people.
func (m *Mapping) Title() string { return m.title }

// Source is the address of the format's public documentation.
func (m *Mapping) Source() string { return m.source }

// Name is as in station.SensorSource.
func (m *Mapping) Name() string { return m.name }

// Filters are the MQTT topic filters of its messages.
func (m *Mapping) Filters() []string { return nil }

// Open returns a session.
func (m *Mapping) Open() Session { return m }

// Decode reads one message.
func (m *Mapping) Decode(Message) (Result, error) { return Result{}, ErrIgnored }

// ParseMapping reads a mapping file; the mapping is nil when it cannot be used.
func ParseMapping(file string, text []byte) (*Mapping, []Problem) {
	return nil, []Problem{{File: file, Message: "mapping files are not read yet", Hint: "see docs/families.md"}}
}
