package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stationd/agent"
	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
	"stationd/devices/gb26875"
	"stationd/devices/notify"
	"stationd/devices/onvif"
	"stationd/devices/sound"
	"stationd/uplink"
	"stationd/uplink/centre"
	"stationd/video"
	"stationd/video/playback"
	"stationd/video/record"
)

// Config is the whole configuration file. It holds what must be known at the
// start; sensors, cameras, brokers and accounts are data, edited in the console.
type Config struct {
	// Node is the node's ID for its whole life: a-z, 0-9 and '-'. Empty draws
	// one at the first start. The name that people see is station.name.
	Node station.NodeID `yaml:"node"`
	// Data is the directory in which everything is kept.
	Data string `yaml:"data"`
	// Log is how the program tells what it does.
	Log LogConfig `yaml:"log"`
	// Station is the node as people see it, and its clips.
	Station agent.Config `yaml:"station"`
	// Store is the database of alarms, cases and everything that must not be lost.
	Store store.Config `yaml:"store"`
	// Console is the web console and the API.
	Console console.Config `yaml:"console"`
	// Devices is how sensors are listened to.
	Devices devices.Config `yaml:"devices"`
	// FireAlarm is where the transmission units of fire-alarm systems report
	// (GB/T 26875.3). Without listen there is no such line.
	FireAlarm gb26875.Config `yaml:"fire_alarm"`
	// ONVIF is how cameras are looked for, asked, turned and listened to.
	ONVIF onvif.Config `yaml:"onvif"`
	// Notify is how messages about alarms are sent.
	Notify notify.Config `yaml:"notify"`
	// Sound is the daemon's own voice, on the PC's audio output.
	Sound sound.Config `yaml:"sound"`
	// Video is how cameras are pulled, where browsers and stations connect for
	// live pictures, and how a centre calls pictures up.
	Video video.Config `yaml:"video"`
	// Record is the rolling record and the clips.
	Record record.Config `yaml:"record"`
	// Playback is what people have made of the record: the files of exports.
	Playback playback.Config `yaml:"playback"`
	// Uplink is the line to the parent. Without a URL there is none.
	Uplink uplink.Config `yaml:"uplink"`
	// Targets are receivers of events beside the parent: web services and other
	// centres, each with its filter.
	Targets []uplink.Target `yaml:"targets"`
	// Centre makes this node a centre: it accepts stations where listen is set.
	Centre CentreConfig `yaml:"centre"`
}

// CentreConfig is the centre's end and the names in its certificate.
type CentreConfig struct {
	centre.Config `yaml:",inline"`
	// Hosts are the names and addresses under which stations reach this
	// centre; they go into the certificate that it makes for itself.
	Hosts []string `yaml:"hosts"`
}

// LogConfig is how the program tells what it does.
type LogConfig struct {
	// Level is the least that is told: debug, info, warn or error.
	Level slog.Level `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}

// DefaultConfig is a station that needs no configuration file.
func DefaultConfig() Config {
	return Config{
		Data:      "data",
		Log:       LogConfig{Level: slog.LevelInfo, Format: "text"},
		Station:   agent.DefaultConfig(),
		Store:     store.DefaultConfig(),
		Console:   console.DefaultConfig(),
		Devices:   devices.DefaultConfig(),
		FireAlarm: gb26875.DefaultConfig(),
		ONVIF:     onvif.DefaultConfig(),
		Notify:    notify.DefaultConfig(),
		Sound:     sound.DefaultConfig(),
		Video:     video.DefaultConfig(),
		Record:    record.DefaultConfig(),
		Playback:  playback.DefaultConfig(),
		Uplink:    uplink.DefaultConfig(),
		Centre:    CentreConfig{Config: centre.DefaultConfig(), Hosts: []string{"localhost", "127.0.0.1"}},
	}
}

// settle fills in what follows from the rest: where things lie in the data
// directory.
func (c *Config) settle() {
	c.Store.Dir, c.Store.Node = filepath.Join(c.Data, "store"), c.Node
	c.Record.Dir = filepath.Join(c.Data, "video")
	c.Playback.Dir = filepath.Join(c.Data, "exports")
	if u, err := url.Parse(c.Station.AnswerURL); err == nil && u.Hostname() != "" && !slices.Contains(c.Console.Hosts, u.Hostname()) {
		c.Console.Hosts = append(slices.Clone(c.Console.Hosts), u.Hostname()) // links lead there
	}
	c.Uplink.LineTest.File = filepath.Join(c.Data, uplinkFolder, "line-tests.json")
	c.Station.Plans = filepath.Join(c.Data, "plans")
	name := func(file *string, parts ...string) {
		if *file == "" {
			*file = filepath.Join(append([]string{c.Data}, parts...)...)
		}
	}
	if c.Uplink.Enabled() {
		name(&c.Uplink.Certificate, uplinkFolder, nodeFile)
		name(&c.Uplink.Key, uplinkFolder, keyFile)
		name(&c.Uplink.Authority, uplinkFolder, authorityFile)
	}
	if c.Centre.Enabled() && c.Centre.Certificate == "" && c.Centre.Key == "" && c.Centre.Authority == "" {
		files := ownAuthority(c.Data).server()
		c.Centre.Certificate, c.Centre.Key, c.Centre.Authority = files.Certificate, files.Key, files.Authority
	}
}

// serverHosts are the names in the node's one server certificate: browsers and
// stations may reach it under different ones.
func (c Config) serverHosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1"}, c.Console.Hosts...)
	if c.Centre.Enabled() {
		hosts = append(hosts, c.Centre.Hosts...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// Validate reports every fault of every room, each with its whole key.
func (c Config) Validate() error {
	var all []error
	if c.Node != "" {
		if err := c.Node.Validate(); err != nil {
			all = append(all, station.Errorf(400, "config.invalid", "use a-z, 0-9 and '-', at most 63", "%v", err).At("node"))
		}
	}
	if c.Data == "" {
		all = append(all, station.Errorf(400, "config.invalid", "name a directory", "there is no data directory").At("data"))
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		all = append(all, station.Errorf(400, "config.invalid", "use text or json", "%q is no format", c.Log.Format).At("log.format"))
	}
	for _, host := range c.Centre.Hosts {
		if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, "/: ") {
			all = append(all, station.Errorf(400, "config.invalid", "write a name or an address, without port", "%q is no host", host).At("centre.hosts"))
		}
	}
	for _, room := range []struct {
		key string
		err error
	}{
		{"station", c.Station.Validate()},
		{"store", c.Store.Validate()},
		{"console", c.Console.Validate()},
		{"devices", c.Devices.Validate()},
		{"fire_alarm", c.FireAlarm.Validate()},
		{"onvif", c.ONVIF.Validate()},
		{"notify", c.Notify.Validate()},
		{"sound", c.Sound.Validate()},
		{"video", c.Video.Validate()},
		{"record", c.Record.Validate()},
		{"playback", c.Playback.Validate()},
		{"uplink", c.Uplink.Validate()},
		{"centre", c.Centre.Config.Validate()},
	} {
		all = append(all, station.Under(room.key, room.err))
	}
	names := map[string]bool{}
	if c.Uplink.Enabled() {
		names[c.Uplink.Target] = true
	}
	for i, t := range c.Targets {
		key := fmt.Sprintf("targets[%d]", i)
		all = append(all, station.Under(key, t.Validate()))
		if names[t.Name] {
			all = append(all, station.Errorf(400, "config.invalid", "give one of them another name", "two targets are called %q", t.Name).At(key+".name"))
		}
		names[t.Name] = true
	}
	return errors.Join(append(all, c.clashes())...)
}

// clashes reports the TCP ports that two parts want.
func (c Config) clashes() error {
	type listener struct{ key, address string }
	all := []listener{{"console.listen", c.Console.Listen}, {"devices.broker.listen", c.Devices.Broker.Listen}, {"video.peer.tcp_listen", c.Video.Peer.TCPListen}}
	if c.Devices.Broker.ListenTLS != "" {
		all = append(all, listener{"devices.broker.listen_tls", c.Devices.Broker.ListenTLS})
	}
	if c.FireAlarm.Listen != "" {
		all = append(all, listener{"fire_alarm.listen", c.FireAlarm.Listen})
	}
	if c.Centre.Enabled() {
		all = append(all, listener{"centre.listen", c.Centre.Listen}, listener{"centre.clips_listen", c.Centre.ClipsListen})
	}
	var faults []error
	for i, a := range all {
		host, port, err := net.SplitHostPort(a.address)
		if err != nil || port == "0" {
			continue // somebody else's fault, or none
		}
		for _, b := range all[:i] {
			h, p, err := net.SplitHostPort(b.address)
			if err == nil && p == port && (h == host || everyHost(h) || everyHost(host)) {
				faults = append(faults, station.Errorf(400, "config.invalid", "give one of them another port", "%s wants the port %s too", b.key, port).At(a.key))
				break
			}
		}
	}
	return errors.Join(faults...)
}

func everyHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// loadConfig reads the configuration file over the defaults. It reports every
// fault at once: what cannot be read, what is unknown, what does not make sense.
func loadConfig(opts serviceOptions) (Config, error) {
	cfg := DefaultConfig()
	var fault error
	if opts.ConfigPath != "" {
		text, err := os.ReadFile(opts.ConfigPath)
		if err != nil {
			return cfg, station.Errorf(400, "config.invalid", "name a file that can be read with --config", "the configuration cannot be read: %v", err).At(opts.ConfigPath)
		}
		fault = decodeYAML(text, &cfg)
	}
	if opts.DataDir != "" {
		cfg.Data = opts.DataDir
	}
	fault = errors.Join(fault, cfg.settleEnrolment())
	cfg.settle()
	if err := errors.Join(fault, cfg.Validate()); err != nil {
		return cfg, err
	}
	return cfg, nil
}

// missing reports the files that are named and cannot be read. A daemon may be
// started before they are there; who checks wants to know.
func (c Config) missing() error {
	var faults []error
	look := func(key, file, hint string) {
		f, err := os.Open(file)
		if err != nil {
			faults = append(faults, station.Errorf(400, "config.invalid", hint, "%v", err).At(key))
			return
		}
		_ = f.Close() // it was only looked at
	}
	if c.Uplink.Enabled() {
		const hint = "make it at the parent with 'stationd issue' and copy it here"
		look("uplink.certificate", c.Uplink.Certificate, hint)
		look("uplink.key", c.Uplink.Key, hint)
		look("uplink.authority", c.Uplink.Authority, hint)
	}
	for i, t := range c.Targets {
		for name, file := range map[string]string{"secret_file": t.SecretFile, "certificate": t.Certificate, "key": t.Key, "authority": t.Authority} {
			if file != "" {
				look(fmt.Sprintf("targets[%d].%s", i, name), file, "name a file that can be read")
			}
		}
	}
	if c.Centre.Enabled() && c.Centre.Certificate != ownAuthority(c.Data).server().Certificate { // else it makes them
		const hint = "name files that can be read, or none, and the centre makes its own"
		look("centre.certificate", c.Centre.Certificate, hint)
		look("centre.key", c.Centre.Key, hint)
		look("centre.authority", c.Centre.Authority, hint)
	}
	return errors.Join(faults...)
}

// check reads the configuration and says what is wrong with it, or that nothing is.
func check(opts serviceOptions, out interface{ Write([]byte) (int, error) }) error {
	cfg, err := loadConfig(opts)
	if err == nil {
		err = cfg.missing()
	}
	if err != nil {
		return err
	}
	name := opts.ConfigPath
	if name == "" {
		name = "the default configuration"
	}
	fmt.Fprintf(out, "%s is in order; data in %s\n", name, cfg.Data)
	return nil
}
