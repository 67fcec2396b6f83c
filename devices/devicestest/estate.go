package devicestest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"stationd/agent/station"
)

// Estate is a simulated housing estate: some hundred sensors of all payload
// families, behind bridges and gateways or on connections of their own, as a
// neighbourhood has them after ten years of tenders. The same seed makes the
// same estate.
type Estate struct {
	Units []*Unit
	Lines []Line
}

// Unit is one simulated sensor.
type Unit struct {
	// Sensor is the station's record of it.
	Sensor station.Sensor
	// Kind is the alarm that it can raise; empty for a mere gauge.
	Kind station.AlarmKind
	// Line is the connection over which it speaks, by its index.
	Line int
	// Interval is between two readings of the real device.
	Interval time.Duration

	write func(u *Unit, m Moment) []Out
	name  string // within the family
	home  string // of the bridge or gateway
}

// Moment is how a unit is when it speaks.
type Moment struct {
	At      time.Time
	Alarm   bool
	Battery int // percent
	Serial  int // of the message, from 1
	// Value wanders between 0 and 1; a gauge makes its own scale of it.
	Value float64
}

// Out is a message that a unit or a line publishes.
type Out struct {
	Topic   string
	Payload []byte
	Retain  bool
}

// Line is one connection to the broker.
type Line struct {
	Client string
	// Birth is said on every connection, Will is left with the broker; nil for
	// devices that have none.
	Birth []Out
	Will  *Out
	// birth is said, besides, for the units behind it.
	bridge func(now time.Time) []Out
}

// Say is what the unit publishes at a moment.
func (u *Unit) Say(m Moment) []Out { return u.write(u, m) }

// Births are what a line publishes when it has connected.
func (l Line) Births(now time.Time) []Out {
	out := append([]Out(nil), l.Birth...)
	if l.bridge != nil {
		out = append(out, l.bridge(now)...)
	}
	return out
}

// stock is one kind of unit, and how many of 500 there are.
type stock struct {
	share    int
	family   string
	class    string
	kind     station.AlarmKind
	power    station.Power
	interval time.Duration
	name     string // for people
	behind   string // the bridge or gateway it speaks through; empty for none
	perLine  int    // units that share a line
	write    func(u *Unit, m Moment) []Out
	device   func(u *Unit) string // the family's name of it
}

// NewEstate makes an estate of count units, at least one. The broker is the ID of
// the station's broker that they speak to.
func NewEstate(seed uint64, count int, broker string) *Estate {
	e := &Estate{}
	r := rand.New(rand.NewPCG(seed, 0x65737461)) // "esta"
	total := 0
	for _, k := range stocks() {
		total += k.share
	}
	made := 0
	for _, k := range stocks() {
		n := (k.share*count + total/2) / total
		n = max(n, 1)
		for i := range n {
			if made == count {
				break
			}
			e.add(r, k, i, broker)
			made++
		}
	}
	for i := 0; made < count; i++ { // what rounding has left over
		e.add(r, stocks()[0], 10_000+i, broker)
		made++
	}
	return e
}

func (e *Estate) add(r *rand.Rand, k stock, i int, broker string) {
	building, floor, flat := 1+r.IntN(12), 1+r.IntN(18), 1+r.IntN(4)
	u := &Unit{Kind: k.kind, Interval: k.interval, write: k.write, name: fmt.Sprintf("%s-%s-%03d", k.family, k.class, i+1)}
	gateway := i / k.perLine
	u.home = k.behind
	if gateway > 0 {
		u.home = fmt.Sprintf("%s-%d", k.behind, gateway+1)
	}
	line := fmt.Sprintf("estate-%s-%s-%d", k.family, k.class, gateway+1)
	if k.behind != "" {
		line = "estate-" + u.home
	}
	u.Line = e.line(line, k, u)
	u.Sensor = station.Sensor{
		ID: u.name, Name: fmt.Sprintf("%s %d", k.name, i+1),
		Place: fmt.Sprintf("%d号楼 %d%02d 室", building, floor, flat),
		Class: k.class, Adopted: true, Power: k.power,
		Source: station.SensorSource{Broker: broker, Family: k.family, Device: k.device(u)},
	}
	e.Units = append(e.Units, u)
}

// line finds a line by its name, or opens it.
func (e *Estate) line(name string, k stock, u *Unit) int {
	for i, l := range e.Lines {
		if l.Client == name {
			return i
		}
	}
	l := Line{Client: name}
	greet(&l, k, u)
	e.Lines = append(e.Lines, l)
	return len(e.Lines) - 1
}

// Sensors are the station's records of the units.
func (e *Estate) Sensors() []station.Sensor {
	out := make([]station.Sensor, len(e.Units))
	for i, u := range e.Units {
		out[i] = u.Sensor
	}
	return out
}
