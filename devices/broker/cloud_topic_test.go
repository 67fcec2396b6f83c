package broker_test

import (
	"context"
	"testing"

	"stationd/devices/broker"
)

// Devices made for a cloud publish below "$sys/" and "$oc/": what they say is
// taken in under their own name, and what is the server's is not.
func TestCloudTopics(t *testing.T) {
	came := make(chan string, 10)
	b := start(t, config(), allow(broker.Hooks{
		MayPublish: func(_ broker.Client, topic string) bool { return topic != "$sys/forbidden" },
		Publish: func(_ context.Context, m broker.Message) error {
			came <- m.Topic
			return nil
		},
	}))
	c := connect(t, options(b, "device"))
	for _, topic := range []string{"$sys/pid/name/thing/property/post", "$oc/devices/d/sys/properties/report", "$aws/things/t/shadow/update"} {
		wait(t, c.Publish(topic, 1, false, "x"))
		if got := <-came; got != topic {
			t.Errorf("published to %s, taken in as %s", topic, got)
		}
	}
	c.Publish("$SYS/broker/version", 0, false, "x")
	wait(t, c.Publish("after", 1, false, "x"))
	if got := <-came; got != "after" {
		t.Errorf("the server's own topic was taken in: %s", got)
	}
	tok := c.Publish("$sys/forbidden", 1, false, "x")
	tok.Wait()
	if len(came) > 0 {
		t.Errorf("a forbidden topic was taken in: %s", <-came)
	}
}
