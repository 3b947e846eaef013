package screen

import (
	"io"

	tea "charm.land/bubbletea/v2"
)

// Run shows a model on a terminal until the user leaves. Signals are the
// caller's.
func Run(m *Model, in io.Reader, out io.Writer) error {
	_, err := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	return err
}
