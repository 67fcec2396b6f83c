// Package notify carries a message out of the station: to a group robot or a
// person in WeCom (企业微信, 政务微信), to a telephone through a gateway, by mail,
// to a webhook, to a siren.
//
// It keeps nothing. Send makes one try, which ends within Config.Timeout, and says
// what became of it: taken, delivered, or failed, and then whether trying again
// is of any use and how long the other side asked to be left alone. When to try,
// how often, and what was sent already is for the caller to keep; the message's
// key is the same for every try, and goes along wherever the other side can make
// use of it.
//
// The other side is not trusted. Answers are read up to 64 KiB, redirections are
// not followed, and neither an answer nor an error that is passed on contains
// the channel's secret, also where it is a part of the address.
package notify
