package devicestest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"stationd/agent/station"
)

// Config is whom the simulated sensors speak to and how often.
type Config struct {
	// URL is the broker: mqtt://host:port or mqtts://host:port.
	URL      string
	Username string
	Password station.Secret
	TLS      *tls.Config // for mqtts
	ClientID string      // empty draws one
	// Broker is the broker's ID at the station, for what Registered returns;
	// empty means the built-in one.
	Broker string
	// Interval is between two readings of a sensor; zero means 10 s.
	Interval time.Duration
	// Base is Zigbee2MQTT's base topic; empty means "zigbee2mqtt".
	Base string
	// Devices are what is simulated; nil means Household().
	Devices []Device
}

// Device is one simulated sensor.
type Device struct {
	Sensor station.Sensor // Source is filled in from Name where it is empty
	// Topic below the base topic for Zigbee2MQTT, whole for JSON.
	Topic string
	// Normal and Alarm are the payloads; fields may be functions of the time.
	Normal func(t time.Time) map[string]any
	Alarm  func(t time.Time) map[string]any
}

// Household is a handful of sensors such as a neighbourhood has: Zigbee
// detectors, and two that send JSON of their own.
func Household() []Device {
	zigbee := func(id, name, place, class string, normal, alarm map[string]any) Device {
		with := func(extra map[string]any) func(time.Time) map[string]any {
			return func(t time.Time) map[string]any {
				m := map[string]any{"battery": 88, "battery_low": false, "linkquality": 90 + t.Second()%40, "last_seen": t.UnixMilli(), "tamper": false}
				for k, v := range extra {
					m[k] = v
				}
				return m
			}
		}
		return Device{
			Sensor: station.Sensor{ID: id, Name: name, Place: place, Class: class, Adopted: true, Source: station.SensorSource{Family: "zigbee2mqtt"}},
			Topic:  id, Normal: with(normal), Alarm: with(alarm),
		}
	}
	pumpRoom := func(over bool) func(time.Time) map[string]any {
		return func(t time.Time) map[string]any {
			degrees := 28 + 2*math.Sin(float64(t.Unix())/120)
			if over {
				degrees = 71.5
			}
			return map[string]any{"ts": t.Unix(), "data": map[string]any{"sensors": []any{map[string]any{"t": math.Round(degrees*10) / 10}}, "bat": 3.61}}
		}
	}
	manhole := func(open int) func(time.Time) map[string]any {
		return func(t time.Time) map[string]any {
			return map[string]any{"cover": open, "batt": 74, "time": t.UTC().Format(time.RFC3339)}
		}
	}
	return []Device{
		zigbee("smoke-3-1202", "厨房烟感", "3号楼 1202 室 · 厨房", station.ClassSmoke, map[string]any{"smoke": false}, map[string]any{"smoke": true}),
		zigbee("smoke-5-stairs", "楼道烟感", "5号楼 2 单元 · 3 层楼道", station.ClassSmoke, map[string]any{"smoke": false}, map[string]any{"smoke": true}),
		zigbee("gas-canteen", "食堂燃气", "社区食堂 · 后厨", station.ClassGas, map[string]any{"gas": false}, map[string]any{"gas": true}),
		zigbee("sos-7-101", "独居老人呼叫", "7号楼 101 室 · 床头", station.ClassSOS, map[string]any{}, map[string]any{"action": "emergency"}),
		zigbee("water-garage", "地库水浸", "地下车库 · 东侧集水井", station.ClassWater, map[string]any{"water_leak": false}, map[string]any{"water_leak": true}),
		zigbee("door-roof", "天台门", "3号楼 · 天台门", station.ClassDoor, map[string]any{"contact": true}, map[string]any{"contact": false}),
		{
			Sensor: station.Sensor{
				ID: "temperature-switch", Name: "配电房温度", Place: "配电房 · 2 号柜", Class: station.ClassTemperature, Adopted: true,
				Source: station.SensorSource{Family: "json", Fields: map[string]string{"temperature": "data.sensors.0.t", "time": "ts"}},
			},
			Topic: "plant/switchroom/2", Normal: pumpRoom(false), Alarm: pumpRoom(true),
		},
		{
			Sensor: station.Sensor{
				ID: "manhole-gate", Name: "南门井盖", Place: "南门 · 人行道", Class: station.ClassManhole, Adopted: true,
				Source: station.SensorSource{Family: "json", Fields: map[string]string{"manhole": "cover", "battery": "batt", "time": "time"}},
			},
			Topic: "street/manhole/17", Normal: manhole(0), Alarm: manhole(1),
		},
	}
}

// Simulation publishes as a set of sensors.
type Simulation struct {
	cfg     Config
	devices []Device
	client  paho.Client
	ready   chan struct{}

	mu      sync.Mutex
	alarmed map[string]bool
}

// Sensors makes a simulation; it connects in Run.
func Sensors(cfg Config) *Simulation {
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.Base == "" {
		cfg.Base = "zigbee2mqtt"
	}
	if cfg.Broker == "" {
		cfg.Broker = station.EmbeddedBroker
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "sensors-" + station.NewID()[:13]
	}
	s := &Simulation{cfg: cfg, devices: cfg.Devices, ready: make(chan struct{}), alarmed: map[string]bool{}}
	if s.devices == nil {
		s.devices = Household()
	}
	return s
}

// Registered are the station's records of the simulated sensors.
func (s *Simulation) Registered() []station.Sensor {
	var out []station.Sensor
	for _, d := range s.devices {
		sn := d.Sensor
		sn.Source.Broker = s.cfg.Broker
		sn.Source.Topic = s.topic(d)
		out = append(out, sn)
	}
	return out
}

// Account makes a broker account and its password for the simulation.
func Account(username string) (station.BrokerAccount, station.Secret) {
	password := station.NewEpoch() + station.NewEpoch() // 128 random bits
	return station.BrokerAccount{Username: username, Digest: Digest(station.Secret(password))}, station.Secret(password)
}

// Digest is a password as station.BrokerAccount keeps it.
func Digest(password station.Secret) string {
	sum := sha256.Sum256([]byte(password.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (s *Simulation) topic(d Device) string {
	if d.Sensor.Source.Family == "zigbee2mqtt" {
		return s.cfg.Base + "/" + d.Topic
	}
	return d.Topic
}

// Run publishes until ctx ends: the bridge's presence, then each sensor's state
// every Interval, spread over it.
func (s *Simulation) Run(ctx context.Context) error {
	c, err := Connect(ctx, s.cfg, paho.NewClientOptions().
		SetWill(s.cfg.Base+"/bridge/state", `{"state":"offline"}`, 1, true))
	if err != nil {
		return err
	}
	defer c.Disconnect(250)
	s.mu.Lock()
	s.client = c
	s.mu.Unlock()
	if err := publish(ctx, c, s.cfg.Base+"/bridge/state", map[string]any{"state": "online"}, true); err != nil {
		return ended(ctx, err)
	}
	close(s.ready)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, d := range s.devices {
		wg.Go(func() {
			wait := time.Duration(rand.Int64N(int64(s.cfg.Interval)))
			for {
				t := time.NewTimer(wait)
				select {
				case <-ctx.Done():
					t.Stop()
					return
				case <-t.C:
				}
				wait = s.cfg.Interval
				s.mu.Lock()
				on := s.alarmed[d.Sensor.ID]
				s.mu.Unlock()
				if on && d.Sensor.Class == station.ClassSOS {
					continue // a button is pressed once
				}
				_ = s.send(ctx, d, on) // a broker that is away comes back
			}
		})
	}
	<-ctx.Done()
	return nil
}

// Ready is closed once the simulation is connected.
func (s *Simulation) Ready() <-chan struct{} { return s.ready }

// Alarm makes a sensor alarm, and returns when the broker has acknowledged it.
func (s *Simulation) Alarm(ctx context.Context, sensor string) error {
	return s.change(ctx, sensor, true)
}

// Normal ends a sensor's alarm.
func (s *Simulation) Normal(ctx context.Context, sensor string) error {
	return s.change(ctx, sensor, false)
}

func (s *Simulation) change(ctx context.Context, sensor string, on bool) error {
	for _, d := range s.devices {
		if d.Sensor.ID != sensor {
			continue
		}
		s.mu.Lock()
		s.alarmed[sensor] = on
		s.mu.Unlock()
		return s.send(ctx, d, on)
	}
	return fmt.Errorf("there is no simulated sensor %q", sensor)
}

func (s *Simulation) send(ctx context.Context, d Device, alarm bool) error {
	s.mu.Lock()
	c := s.client
	s.mu.Unlock()
	if c == nil {
		return errors.New("the simulation is not running")
	}
	say := d.Normal
	if alarm {
		say = d.Alarm
	}
	return publish(ctx, c, s.topic(d), say(time.Now()), false)
}

// copies is a store that shares no packet with who is sending it. paho marks what
// it finds in the store as a duplicate while a message that was published from
// the connect handler, the same packet, is being written.
type copies struct{ paho.Store }

func (c copies) Put(key string, p packets.ControlPacket) { c.Store.Put(key, copyOf(p)) }

func (c copies) Get(key string) packets.ControlPacket { return copyOf(c.Store.Get(key)) }

func copyOf(p packets.ControlPacket) packets.ControlPacket {
	if pub, ok := p.(*packets.PublishPacket); ok {
		one := *pub
		return &one
	}
	return p
}

// Connect connects a client as sensors do: it keeps its session and comes back
// by itself. o may be nil.
func Connect(ctx context.Context, cfg Config, o *paho.ClientOptions) (paho.Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("broker URL: %w", err)
	}
	if o == nil {
		o = paho.NewClientOptions()
	}
	address := "tcp://" + u.Host
	if u.Scheme == "mqtts" {
		address = "ssl://" + u.Host
		o.SetTLSConfig(cfg.TLS)
	}
	o.AddBroker(address).SetClientID(cfg.ClientID).SetUsername(cfg.Username).SetPassword(cfg.Password.Reveal())
	o.SetProtocolVersion(4).SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(2 * time.Second)
	o.SetStore(copies{paho.NewOrderedMemoryStore()}) // paho's default one sends again in any order
	o.SetConnectTimeout(5 * time.Second).SetWriteTimeout(5 * time.Second)
	o.SetDialer(&net.Dialer{Timeout: 5 * time.Second})
	c := paho.NewClient(o)
	tok := c.Connect()
	select {
	case <-tok.Done():
	case <-ctx.Done():
		c.Disconnect(0)
		return nil, ctx.Err()
	}
	if err := tok.Error(); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.URL, err)
	}
	return c, nil
}

func publish(ctx context.Context, c paho.Client, topic string, v any, retain bool) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("publish to %q: %w", topic, err)
	}
	tok := c.Publish(topic, 1, retain, body)
	select {
	case <-tok.Done():
		if err := tok.Error(); err != nil {
			return fmt.Errorf("publish to %q: %w", topic, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
