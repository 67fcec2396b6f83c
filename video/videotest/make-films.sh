#!/bin/sh
# placeholder scenes
set -eu
cd "$(dirname "$0")/films"
for n in corridor gate garage manhole; do
ffmpeg -v error -y -f lavfi -i testsrc2=s=640x360:r=25:d=8 -pix_fmt yuv420p -c:v libx264 -profile:v baseline -crf 34 \
 -x264-params keyint=50:min-keyint=50:scenecut=0:bframes=0:slices=1:sliced-threads=0:repeat-headers=1:aud=1 -bsf:v h264_metadata=aud=insert -f h264 $n.h264
done
