package main

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"stationd/agent/station"
)

// What the demo knows of its estate beside the devices: a plan, where they are on
// it, and the people behind two of them.

const demoPlan = "estate"

// demoSize is the plan's picture, in pixels.
var demoSize = image.Pt(1200, 750)

// demoPlace is where a sensor or camera is on the plan; nil for none.
func demoPlace(id string) *station.Position {
	at, ok := map[string]image.Point{
		"smoke-3-1202": {290, 150}, "smoke-5-stairs": {650, 160}, "gas-canteen": {960, 420}, "sos-7-101": {250, 560},
		"water-garage": {620, 560}, "door-roof": {180, 190}, "temperature-switch": {1010, 170}, "manhole-gate": {660, 700},
		"corridor": {330, 200}, "garage": {720, 600}, "gate": {560, 690}, "manhole": {760, 690},
	}[id]
	if !ok {
		return nil
	}
	return &station.Position{Plan: demoPlan, X: float64(at.X) / float64(demoSize.X), Y: float64(at.Y) / float64(demoSize.Y)}
}

// demoPeople are those behind a detector and a call button; nobody has these
// numbers.
func demoPeople() []station.People {
	return []station.People{
		{Sensor: "smoke-3-1202", Flat: "3号楼 1202 室", List: []station.Person{
			{Relation: "self", Name: "王桂芳", Phone: "138 0000 1234", Age: 83, Note: "独居，听力不好"},
			{Relation: "child", Name: "王建国", Phone: "139 0000 5678", Note: "同城"},
			{Relation: "keyholder", Name: "楼组长 周", Phone: "137 0000 9012", Note: "有钥匙"},
		}},
		{Sensor: "sos-7-101", Flat: "7号楼 101 室", List: []station.Person{
			{Relation: "self", Name: "陈阿福", Phone: "136 0000 3344", Age: 79},
			{Relation: "neighbour", Name: "102 室 林", Phone: "135 0000 7788"},
		}},
	}
}

// drawPlan draws the estate from above: paths, lawns, houses with their flats, the
// canteen and the ramp of the garage.
func drawPlan() []byte {
	paper, lawn, path := color.RGBA{0xf4, 0xf2, 0xec, 0xff}, color.RGBA{0xe3, 0xe9, 0xdc, 0xff}, color.RGBA{0xff, 0xff, 0xff, 0xff}
	wall, room := color.RGBA{0x6b, 0x72, 0x7d, 0xff}, color.RGBA{0xfb, 0xfa, 0xf6, 0xff}
	m := image.NewRGBA(image.Rectangle{Max: demoSize})
	fill := func(x, y, w, h int, c color.Color) {
		draw.Draw(m, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
	}
	fill(0, 0, demoSize.X, demoSize.Y, paper)
	fill(40, 40, demoSize.X-80, demoSize.Y-130, lawn)
	fill(40, 310, demoSize.X-80, 46, path)
	fill(540, 40, 46, demoSize.Y-40, path)
	fill(0, demoSize.Y-74, demoSize.X, 54, path)
	house := func(x, y, w, h, flats int) {
		fill(x, y, w, h, wall)
		each := (w - 6) / flats
		for i := range flats {
			fill(x+6+i*each, y+6, each-6, h/2-9, room)
			fill(x+6+i*each, y+h/2+3, each-6, h/2-9, room)
		}
	}
	house(100, 90, 380, 170, 5)
	house(630, 90, 250, 170, 3)
	house(950, 110, 150, 120, 1)
	house(100, 410, 380, 200, 5)
	house(630, 480, 230, 130, 2)
	house(900, 390, 200, 160, 2)
	var out bytes.Buffer
	// A picture in memory of a kind that it knows: there is nothing that it could
	// refuse.
	_ = png.Encode(&out, m)
	return out.Bytes()
}
