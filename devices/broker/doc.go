// Package broker is an MQTT broker inside the program: MQTT 3.1.1 (and 5) over
// TCP or TLS, built on mochi.
//
// What it promises:
//
//   - Hooks.Publish sees every message of a client before anybody else and
//     before the client is answered. Its nil is what the client's PUBACK (or
//     PUBREC) means; on its error there is none. It is called on the
//     goroutine that reads that client, so one client's messages come one
//     after the other, in order, and different clients' at the same time.
//
//   - A client whose message was refused is not read for Config.Hold and then
//     disconnected: a 3.1.1 client sends again only when it reconnects.
//     ErrLater is the milder refusal, see there.
//
//   - A client's last will reaches Hooks.Publish too, with Message.Will set;
//     there is nobody left to refuse it to.
//
//   - Nobody may do anything that a hook does not allow: a nil hook denies.
//
//   - Run waits for every goroutine that serves a client.
//
//   - Retained messages are brought over a restart where Config.Retained is set,
//     as they were some seconds before a kill and at the end of Run otherwise.
//     They are there for subscribers, as far as Hooks.MaySubscribe lets them:
//     Hooks.Publish does not see them again. A store that is full or damaged
//     costs them and nothing else.
//
// What it does not do: it stores nothing else. Sessions live as long as the
// process; what must outlive it is stored by Hooks.Publish.
// Messages from the server to a client are therefore a convenience: whoever
// needs delivery waits for an answer of the application and sends again.
// (mochi keeps one table of packet identifiers for both directions, so that a
// message of a client can push out an unacknowledged one towards it.)
package broker
