#!/bin/sh
# Makes films/*.h264 from scenes/*.awk. Needs awk, ffmpeg with libx264, libx265 and
# librsvg, and the fonts of fonts-noto-cjk:
#
#	apt-get install ffmpeg mawk fonts-noto-cjk
#
# awk draws every picture as SVG, ffmpeg turns the row into H.264 as a simple
# camera sends it: constrained baseline, no B-frames, one slice per picture, a
# key picture every two seconds with its parameter sets, and an access unit
# delimiter in front of every picture, at which the program takes the file apart.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for scene in ${*:-corridor gate garage manhole}; do
	mkdir -p "$work/$scene"
	LC_ALL=C awk -v dir="$work/$scene" -f scenes/figures.awk -f "scenes/$scene.awk"
	ffmpeg -v error -y -framerate 25 -i "$work/$scene/%03d.svg" \
		-vf 'format=rgb24,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p' -color_primaries bt709 -color_trc bt709 -colorspace bt709 \
		-c:v libx264 -preset veryslow -profile:v baseline -level 3.0 -crf "${CRF:-25}" \
		-x264-params 'keyint=50:min-keyint=50:scenecut=0:bframes=0:slices=1:sliced-threads=0:repeat-headers=1:aud=1:vbv-maxrate=1200:vbv-bufsize=1200' \
		-f h264 "films/$scene.h264"
	ls -l "films/$scene.h264"
done

# The gate in small, the corridor in small and of H.265, and a tone.
ffmpeg -v error -y -i films/gate.h264 -t 2 -vf scale=320:180 -c:v libx264 -preset veryslow -profile:v baseline -level 3.0 -crf 27 \
	-x264-params 'keyint=50:min-keyint=50:scenecut=0:bframes=0:slices=1:sliced-threads=0:repeat-headers=1:aud=1' \
	-f h264 films/porch.h264
ffmpeg -v error -y -i films/corridor.h264 -t 2 -vf scale=320:180 -pix_fmt yuv420p -c:v libx265 -preset slow -crf 30 \
	-x265-params 'log-level=0:keyint=50:min-keyint=50:scenecut=0:bframes=0:repeat-headers=1:aud=1:info=0:open-gop=0' \
	-f hevc films/lobby.h265
ffmpeg -v error -y -f lavfi -i 'sine=frequency=440:beep_factor=4:sample_rate=16000' -t 2.048 -ac 1 -c:a aac -b:a 24k films/tone.aac

# A still of the gate.
ffmpeg -v error -y -i films/gate.h264 -ss 2 -frames:v 1 -q:v 6 films/gate.jpg
