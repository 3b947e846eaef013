package fault_test

import (
	"fmt"

	"gonetx/ip/link/fault"
)

// Faults are written and read as one line, which says what is wrong with it.
func ExampleParse() {
	c, err := fault.Parse("seed=7, in.loss=5%, delay=20ms, drop(server data 3), split(5, out data 1)")
	fmt.Println(c, err)

	_, err = fault.Parse("loss=5%, drop(sever data 3)")
	fmt.Println(err)
	// Output:
	// seed=7,in.loss=0.05,in.delay=20ms,out.delay=20ms,drop(server data 3),split(5, out data 1) <nil>
	// fault "drop(sever data 3)": "sever" is neither a kind of frame nor a count such as 3, 2-4, 7+
}
