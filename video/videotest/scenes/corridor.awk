# A corridor on the twelfth floor: doors on both sides, a smoke detector on the
# ceiling, somebody who comes home with a bag.

function title() { return "3号楼 12层走廊" }
function seconds() { return 8 }

# px, py and scale put a point of the corridor (x across, from -1 to 1; h up,
# from 0 to 1; z away, from 1) into the picture.
function px(x, z) { return 320 + 330 * x / z }
function py(h, z) { return 150 + (230 - 360 * h) / z }
function quad(x1, h1, z1, x2, h2, z2, x3, h3, z3, x4, h4, z4, fill, more) {
	poly(sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f", px(x1, z1), py(h1, z1), px(x2, z2), py(h2, z2), px(x3, z3), py(h3, z3), px(x4, z4), py(h4, z4)), fill, more)
}
function wall(x, z1, h1, z2, h2, fill, more) { quad(x, h1, z1, x, h1, z2, x, h2, z2, x, h2, z1, fill, more) }

function door(x, z, number,  m) {
	wall(x, z, 0, z * 1.22, .80, "#5d4a3a")
	wall(x, z * 1.015, 0, z * 1.2, .785, "url(#door)")
	wall(x, z * 1.05, .1, z * 1.165, .36, "#7a5a3e"); wall(x, z * 1.05, .43, z * 1.165, .73, "#7a5a3e")
	m = x < 0 ? z * 1.185 : z * 1.035
	circle(px(x, m), py(.38, m), 6 / z, "#d8c48c")
	text(px(x, z * 1.11), py(.845, z * 1.11), 23 / z, "#3b4a58", number, "text-anchor='middle' font-weight='bold'")
}

function background(  z, i) {
	put("<defs><linearGradient id='floor' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#8d938f'/><stop offset='1' stop-color='#b9b4a6'/></linearGradient>")
	put("<linearGradient id='left'><stop offset='0' stop-color='#d9d4c4'/><stop offset='1' stop-color='#a9aca6'/></linearGradient>")
	put("<linearGradient id='right'><stop offset='0' stop-color='#a2a6a1'/><stop offset='1' stop-color='#cfcabb'/></linearGradient>")
	put("<linearGradient id='door' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#8a684a'/><stop offset='1' stop-color='#6b4e36'/></linearGradient>")
	put("<radialGradient id='glow'><stop offset='0' stop-color='#fff' stop-opacity='.55'/><stop offset='1' stop-color='#fff' stop-opacity='0'/></radialGradient>")
	put("<radialGradient id='dark' cx='.5' cy='.45' r='.75'><stop offset='.55' stop-color='#000' stop-opacity='0'/><stop offset='1' stop-color='#000' stop-opacity='.45'/></radialGradient></defs>")
	rect(0, 0, 640, 360, "#9a9c98")
	quad(-1, 0, .6, 1, 0, .6, 1, 0, 8, -1, 0, 8, "url(#floor)")
	quad(-1, 1, .6, 1, 1, .6, 1, 1, 8, -1, 1, 8, "#c9ccc8")
	wall(-1, .6, 0, 8, 1, "url(#left)"); wall(1, .6, 0, 8, 1, "url(#right)")
	# tiles
	for (z = .8; z < 8; z *= 1.19) line(px(-1, z), py(0, z), px(1, z), py(0, z), "#7d807a", 1.1 / z, "opacity='.7'")
	for (i = -1; i <= 1.01; i += .4) line(px(i, .6), py(0, .6), px(i, 8), py(0, 8), "#7d807a", .6, "opacity='.7'")
	# green to hip height, as everywhere
	wall(-1, .6, 0, 8, .33, "#5f8577", "opacity='.55'"); wall(1, .6, 0, 8, .33, "#5f8577", "opacity='.55'")
	wall(-1, .6, 0, 8, .035, "#3f4743"); wall(1, .6, 0, 8, .035, "#3f4743")
	# the end: a fire door with a window, and the way out
	quad(-1, 0, 8, 1, 0, 8, 1, 1, 8, -1, 1, 8, "#b8bdb6")
	quad(-.55, 0, 8, .55, 0, 8, .55, .75, 8, -.55, .75, 8, "#7d3c32")
	line(px(0, 8), py(0, 8), px(0, 8), py(.75, 8), "#57271f", 1)
	quad(-.4, .42, 8, -.12, .42, 8, -.12, .66, 8, -.4, .66, 8, "#cfe3ee"); quad(.12, .42, 8, .4, .42, 8, .4, .66, 8, .12, .66, 8, "#cfe3ee")
	rect(306, 133, 28, 9.5, "#0d8f4f", "rx='1'"); text(320, 140.6, 7, "#eafff2", "安全出口", "text-anchor='middle'")
	# lamps and what they do to the floor
	for (z = 1; z < 7; z *= 1.75) {
		quad(-.3, 1, z, .3, 1, z, .3, 1, z * 1.22, -.3, 1, z * 1.22, "#ffffff")
		quad(-.34, 1, z * .99, .34, 1, z * .99, .34, 1, z * 1.24, -.34, 1, z * 1.24, "none", "stroke='#8f9590' stroke-width='1'")
		ellipse(px(0, z * 1.1), py(0, z * 1.1), 170 / z, 34 / z, "url(#glow)")
	}
	door(-1, 1.12, "1201"); door(-1, 1.9, "1203"); door(-1, 3.4, "1205")
	door(1, 1.4, "1202"); door(1, 2.5, "1204"); door(1, 4.4, "1206")
	# fire cabinet
	wall(1, 1.03, .22, 1.24, .52, "#8e1b14"); wall(1, 1.05, .24, 1.22, .5, "#c22a20")
	text(px(1, 1.13), py(.35, 1.13), 13, "#fff", "消火栓", "text-anchor='middle' font-weight='bold'")
	# a mat and slippers before 1203
	quad(-.97, 0, 1.95, -.7, 0, 1.95, -.7, 0, 2.25, -.97, 0, 2.25, "#6d3b34")
}

function scene(t,  z, x, h, led, led2) {
	# smoke detector; its light blinks every two seconds
	ellipse(px(.0, 1.62), py(.995, 1.62), 17, 6, "#efefe9", "stroke='#9a9a94'")
	ellipse(px(.0, 1.62), py(.975, 1.62), 11, 4.5, "#dcdcd5", "stroke='#a8a8a2'")
	led = t - 2 * int(t / 2)
	circle(px(.0, 1.62) + 5, py(.97, 1.62), 1.8, led < .24 ? "#ff2a1f" : "#7a2b26")
	# out of the far door, down the corridor, past the camera
	z = 7.6 * exp(-t / 8 * 2.4)
	x = .12 * sin(t * .9) + .18 * ramp(t, 4, 8)
	h = .47 * 360 / z
	group(sprintf("opacity='%.3f'", ramp(t, 0, .5)))
	person(px(x, z), py(0, z), h, t * 7.4, 0, "#33557c", "#2a2d33", "#d8dde0")
	end()
	rect(0, 0, 640, 360, "url(#dark)")
}
