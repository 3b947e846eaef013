package parity

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed scenarios/*.parity
var tableFiles embed.FS

// Table is the scenarios that come with the package: files of the same format
// that anybody writes.
func Table() []Scenario {
	var table []Scenario
	names, err := fs.Glob(tableFiles, "scenarios/*.parity")
	for _, name := range names {
		var text []byte
		if text, err = tableFiles.ReadFile(name); err != nil {
			break
		}
		var list []Scenario
		if list, err = Parse("netns-tests/"+name, string(text)); err != nil {
			break
		}
		table = append(table, list...)
	}
	if err != nil { // the files are part of the program
		panic(fmt.Sprintf("parity: the table: %v", err))
	}
	return table
}
