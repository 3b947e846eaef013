package ip

// linkChanged is the driver's _nx_ip_driver_link_status_event.
func (inst *Instance) linkChanged(up bool, _ error) {
	if inst.linkUp.Swap(up) == up || inst.thread == nil {
		return
	}
}
