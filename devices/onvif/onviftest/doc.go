// Package onviftest is an ONVIF device made small, for tests and for the demo: a
// camera with a pan-tilt head, or a recorder with channels. It checks passwords and
// clocks as devices do, answers searches on the network, and has the quirks that
// devices have, to be switched on one by one.
//
// A Device is an http.Handler; the pictures themselves are those of an RTSP server
// elsewhere, whose addresses it is given.
package onviftest
