package payload_test

import (
	"fmt"

	"stationd/devices/payload"
)

// A family is found by its name, opened once for each broker, and asked about one
// message after the other.
func ExampleCatalogue() {
	families := payload.Families("/var/lib/stationd/families")
	family, _ := families.Family("tasmota")
	session := family.Open()
	res, err := session.Decode(payload.Message{
		Topic:   "tele/zbbridge/SENSOR",
		Payload: []byte(`{"ZbReceived":{"0x99F2":{"Device":"0x99F2","Name":"Kitchen","Fire":1,"LinkQuality":99}}}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range res.Readings {
		fmt.Println(r.Device, r.Class, r.Values["smoke"], "via", r.Via)
	}
	// Output: zbbridge/0x99F2 smoke true via zbbridge
}

// A mapping file that cannot be used is told of with its line and what to do.
func ExampleParseMapping() {
	_, problems := payload.ParseMapping("boxes.yaml", []byte(`family: boxes
messages:
  - topic: boxes/{device}/data
    fields:
      smoke: {path: state, wrods: {fire: true}}
`))
	for _, p := range problems {
		fmt.Println(p.Error())
	}
	// Output: boxes.yaml line 5: a field has no key "wrods"; did you mean words?
}

// A received sample proposes how it might be mapped.
func ExamplePropose() {
	for _, p := range payload.Propose([]byte(`{"id":17,"sensors":[{"smoke":0,"temp":21.5}]}`)) {
		fmt.Printf("%s = %v: %q\n", p.Path, p.Value, p.Field)
	}
	// Output:
	// id = 17: ""
	// sensors.0.smoke = 0: "smoke"
	// sensors.0.temp = 21.5: "temperature"
}
