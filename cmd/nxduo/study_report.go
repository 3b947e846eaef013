package main

// makeReport makes the report of a folder.
func makeReport(path string) error { return nil }
