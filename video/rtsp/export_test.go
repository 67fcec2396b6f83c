package rtsp

// OnlyBackchannel cuts a description down, for who fuzzes it.
func OnlyBackchannel(sdp []byte) ([]byte, Loudspeaker) { return onlyBackchannel(sdp) }
