package notify

import (
	"context"

	"stationd/agent/station"
)

// sendSiren publishes what switches a siren or strobe on or off.
func (s *Sender) sendSiren(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	if ch.Siren == nil {
		return hopeless(problemSetup("the channel does not say what is published").At("siren"))
	}
	if s.publish == nil {
		return hopeless(problemSetup("there is no broker to publish to").At("siren.broker"))
	}
	payload := ch.Siren.On
	if m.Off {
		payload = ch.Siren.Off
	}
	if err := s.publish(ctx, ch.Siren.Broker, ch.Siren.Topic, []byte(payload), ch.Siren.Retain); err != nil {
		return station.Delivery{}, err
	}
	return station.Delivery{State: "sent"}, nil
}
