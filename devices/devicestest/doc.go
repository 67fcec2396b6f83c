// Package devicestest stands in for what sensors publish with: simulated sensors
// that speak real MQTT with realistic payloads, and a real Mosquitto for tests.
// The simulation is also what the demo and the simulator run.
package devicestest
