"""A camera made of GStreamer: its RTSP server with a live x264 encoder.

usage: gstreamer.py PORT [USER PASSWORD]   (port 0: any free one)

Prints the port, and ends when its standard input is closed. With B_FRAMES=1 in
the environment the encoder makes B-frames; CODEC=H265 makes it another; SOUND is
PCMA, PCMU, AAC, LATM or OPUS for a tone beside the picture. HEARS is PCMA or PCMU for
a loudspeaker (an ONVIF backchannel); what it is sent is written, as it came, to the
file HEARD.

Along the bottom of each picture stands the wall clock at which it was made, in
centiseconds: four squares of 16 pixels, black, white, black, white, and 32 more
for the bits, the highest first, white for one.
"""
import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

Gst.init(None)
loop = GLib.MainLoop()

if os.environ.get("CODEC") == "H265":
    encoder = ("x265enc tune=zerolatency speed-preset=ultrafast bitrate=600 key-int-max=25 ! video/x-h265,profile=main"
               " ! rtph265pay name=pay0 pt=96")
else:
    if os.environ.get("B_FRAMES"):
        encoder, profile = "x264enc bframes=2 b-adapt=false speed-preset=superfast", "main"
    else:  # zerolatency makes several slices of every picture
        encoder, profile = "x264enc tune=zerolatency speed-preset=ultrafast", "constrained-baseline"
    encoder += " bitrate=600 key-int-max=25 ! video/x-h264,profile=" + profile + " ! rtph264pay name=pay0 pt=96"

sound = {
    "PCMA": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
    "PCMU": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0",
    "AAC": "audio/x-raw,rate=16000,channels=1 ! voaacenc bitrate=32000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "LATM": "audio/x-raw,rate=16000,channels=1 ! voaacenc bitrate=32000 ! aacparse ! rtpmp4apay name=pay1 pt=97",
    "OPUS": "audio/x-raw,rate=48000,channels=1 ! opusenc bitrate=24000 ! rtpopuspay name=pay1 pt=97",
}.get(os.environ.get("SOUND"), "")
if sound:
    sound = " audiotestsrc is-live=true samplesperbuffer=320 ! audioconvert ! audioresample ! " + sound

hears = os.environ.get("HEARS")
if hears:
    factory = GstRtspServer.RTSPOnvifMediaFactory()
    factory.set_media_gtype(GstRtspServer.RTSPOnvifMedia.__gtype__)
    factory.set_backchannel_launch(
        '( capsfilter caps="application/x-rtp, media=audio, payload=%d, clock-rate=8000, encoding-name=%s"'
        " name=depay_backchannel ! rtp%sdepay ! filesink location=%s append=true buffer-mode=unbuffered async=false )"
        % (8 if hears == "PCMA" else 0, hears, hears.lower(), os.environ["HEARD"])
    )
else:
    factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=25/1"
    " ! simplevideomark name=clock pattern-width=16 pattern-height=16 pattern-count=4 pattern-data-count=32"
    " ! " + encoder + sound + " )"
)
factory.set_shared(not hears)  # two who share it would hear each other


def draw_clock(_pad, _info, clock):
    clock.set_property("pattern-data", int(time.time() * 100) & 0xFFFFFFFF)
    return Gst.PadProbeReturn.OK


def configured(_factory, media):
    clock = media.get_element().get_by_name("clock")
    clock.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, draw_clock, clock)


factory.connect("media-configure", configured)

server = GstRtspServer.RTSPOnvifServer() if hears else GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
if len(sys.argv) > 3:
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_digest(sys.argv[2], sys.argv[3], token)
    server.set_auth(auth)
    role = Gst.Structure.new_empty("viewer")
    for permission in ("media.factory.access", "media.factory.construct"):
        role.set_value(permission, True)
    factory.add_role_from_structure(role)
server.get_mount_points().add_factory("/live", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen on port " + sys.argv[1])
print(server.get_bound_port(), flush=True)

GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_HUP, lambda *_: loop.quit())
loop.run()
