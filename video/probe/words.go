package probe

import (
	"strings"

	"stationd/agent/station"
)

// sentence is what a finding says, and which setting to change.
type sentence struct{ message, hint string }

// sentences are the English words of every finding. {x} is one of its arguments.
func sentences() map[string]sentence {
	return map[string]sentence{
		"camera.host":        {"the camera's host name is unknown", "enter its IP address"},
		"camera.port":        {"nothing listens at the camera's address and port", "check the port (usually 554) and that RTSP is switched on in the camera's network settings"},
		"camera.unreachable": {"there is no way to the camera", "check its power, its network cable, and that it is in the same network as the station"},
		"camera.timeout":     {"the camera does not answer", "check its power, its network cable and the address"},
		"camera.password":    {"the camera refuses the user name or password", "enter them again; after some five tries most cameras lock the account for half an hour"},
		"camera.login":       {"the camera asks for a user name and password", "enter them"},
		"camera.scheme":      {"the camera asks for a way of logging in that is not known", "set its RTSP authentication to digest"},
		"camera.rights":      {"the account may not see this stream, or is locked", "give it the right to live video in the camera's user settings; if it is locked, wait half an hour"},
		"camera.spared":      {"the camera was not asked again: it has just refused this password", "change the password, or wait a minute"},
		"camera.no-slot":     {"the camera has no free session", "end other programs that watch it, or raise the number of connections in its settings"},
		"camera.path":        {"the camera does not know this stream", "check the path of the address; its manual lists it, and ONVIF finds it"},
		"camera.transport":   {"the camera does not send its video in the way that is set", "set the transport to automatic or TCP"},
		"camera.udp":         {"nothing of the camera comes over UDP: a firewall or the switch keeps it back", "set the transport to automatic or TCP"},
		"camera.tls":         {"the camera does not speak TLS at this port", "write rtsp://, or the port of its encrypted service (usually 322)"},
		"camera.certificate": {"the camera's certificate is not trusted", "enter its SHA-256 fingerprint, from the camera's own page"},
		"camera.redirect":    {"the camera sends us to another address", "enter the address of the device that really sends the video"},
		"camera.format":      {"the camera sends a format that is not supported", "set this stream to H.264 or H.265 in the camera's video settings"},
		"camera.no-video":    {"there is no video at this address", "check the path of the address"},
		"camera.no-picture":  {"the camera is connected but sends no picture", "restart the camera; look whether its own page shows one"},
		"camera.no-key":      {"the camera sends no key picture", "set the key frame interval (GOP) to two seconds"},
		"camera.closed":      {"the camera has closed the connection", "it may be starting again; if it stays, look at its own page"},
		"camera.address":     {"the address cannot be used", "write rtsp://address/path"},
		"camera.failed":      {"the connection to the camera has failed", "try again; the log has the details"},

		"stream.ok":        {"{codec} {width}×{height}, {rate} pictures a second, {kbps} kbit/s, a key picture every {gop} s", ""},
		"stream.b-frames":  {"the stream has B-frames, which browsers cannot show live", "switch B-frames off, or set the H.264 profile to Baseline, in the camera's video settings"},
		"stream.gop":       {"a key picture comes only every {gop} s or more: viewers wait for it, and clips begin too early", "set the key frame interval (GOP, I-frame interval) to twice the frame rate: two seconds; switch smart coding (H.264+, H.265+) off"},
		"stream.slow":      {"only {rate} pictures a second come", "set the frame rate to 15 or more"},
		"stream.bits":      {"the stream needs {kbps} kbit/s, much for what it is", "set the maximal bit rate to 4096 kbit/s for the main stream, 768 for the smaller one"},
		"stream.loss":      {"many pictures arrive damaged", "check the cable and the switch; use TCP"},
		"stream.h265":      {"the main stream is H.265: browsers that cannot show it get the smaller one", "nothing needs to be done"},
		"stream.h265-only": {"the camera gives H.265 alone, which most browsers cannot show", "set the smaller stream to H.264 and enter its address, or the main one to H.264"},
		"sub.none":         {"there is no smaller stream: walls and calls use the large one", "switch the sub-stream on (H.264, 640×360 to 1280×720) and enter its address"},
		"sub.large":        {"the smaller stream is {width}×{height}, large for a wall", "set it to 640×360 to 1280×720"},
		"sound.aac":        {"the sound is AAC: it is heard in recordings and not live", "set the audio encoding to G.711 for live sound"},
		"talk.ok":          {"one can talk through the camera ({codec})", ""},
		"talk.codec":       {"nobody can talk through the camera: its loudspeaker takes {codec} alone", "set the encoding of its two-way audio (or of its audio) to G.711A or G.711U"},
		"talk.none":        {"the camera takes no voice: it has no loudspeaker, or does not tell of it at this address", "if it has one: switch two-way audio on, and take the address that ONVIF gives"},
		"udp.blocked":      {"pictures come over TCP, since none came over UDP", "nothing needs to be done; a firewall or the switch keeps UDP back"},
		"clock.off":        {"the camera's clock is off by {offset}", "let it take the time from the station or the network (NTP), and set its time zone"},
	}
}

func found(code string, severity station.FindingSeverity, where string, args map[string]string) station.Finding {
	s := sentences()[code]
	pairs := make([]string, 0, 2*len(args))
	for k, v := range args {
		pairs = append(pairs, "{"+k+"}", v)
	}
	return station.Finding{Code: code, Severity: severity, Stream: where, Message: strings.NewReplacer(pairs...).Replace(s.message), Hint: s.hint, Args: args}
}
