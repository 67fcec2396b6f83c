// Package peertest stands in for browsers: a WebRTC client that watches over
// WHEP, asks for what got lost as browsers do, and puts the pictures together
// without decoding them. It shares no code with package peer, so that both do
// not make the same mistake.
package peertest
