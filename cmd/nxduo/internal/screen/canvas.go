package screen

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// canvas is a drawing in Braille characters, of two by four dots each.
type canvas struct {
	width, height int // characters
	dots          []uint8
	kinds         []kind // the highest in each character
}

func newCanvas(width, height int) *canvas {
	return &canvas{width, height, make([]uint8, width*height), make([]kind, width*height)}
}

// brailleBits are the bits of a dot, by row and column.
var brailleBits = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// dot sets a dot; x and y run from 0 to 1, from the left and from the bottom.
func (c *canvas) dot(x, y float64, k kind) {
	if !(x >= 0 && x <= 1 && y >= 0 && y <= 1) {
		return
	}
	column := min(int(x*float64(c.width*2)), c.width*2-1)
	row := min(int((1-y)*float64(c.height*4)), c.height*4-1)
	i := row/4*c.width + column/2
	c.dots[i] |= brailleBits[row%4][column%2]
	c.kinds[i] = max(c.kinds[i], k)
}

// lines are the rows of the drawing.
func (c *canvas) lines(style func(kind) lipgloss.Style) []string {
	lines := make([]string, c.height)
	for y := range lines {
		var b strings.Builder
		for x := 0; x < c.width; {
			from, k := x, c.kinds[y*c.width+x]
			var run strings.Builder
			for ; x < c.width && c.kinds[y*c.width+x] == k; x++ {
				if d := c.dots[y*c.width+x]; d != 0 {
					run.WriteRune(rune(0x2800 + int(d)))
				} else {
					run.WriteByte(' ')
				}
			}
			if k == 0 {
				b.WriteString(strings.Repeat(" ", x-from))
			} else {
				b.WriteString(style(k).Render(run.String()))
			}
		}
		lines[y] = b.String()
	}
	return lines
}

// spark is a line of blocks over time: the last value of each column.
func spark(samples []sample, from, to float64, width int) string {
	blocks := []rune(" ▁▂▃▄▅▆▇█")
	columns := make([]float64, width)
	top, last, i := 0.0, 0.0, 0
	for x := range columns {
		end := from + (to-from)*float64(x+1)/float64(width)
		for ; i < len(samples) && samples[i].at <= end; i++ {
			last = samples[i].value
		}
		columns[x] = last
		top = max(top, last)
	}
	line := make([]rune, width)
	for x, v := range columns {
		n := 0
		if top > 0 && v > 0 {
			n = 1 + int(v/top*float64(len(blocks)-2)+0.5)
		}
		line[x] = blocks[min(n, len(blocks)-1)]
	}
	return string(line)
}
