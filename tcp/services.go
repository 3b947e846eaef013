package tcp

// Service is one service of NetX Duo and its Go form.
type Service struct {
	C  string
	Go string
}

// Services lists the TCP services of nx_api.h. An nx_ and nxd_ pair is one Go
// function.
var Services = []Service{
	{"nx_tcp_enable", "Enable"},
	{"nx_tcp_free_port_find", "FreePortFind"},
	{"nx_tcp_info_get", "InfoGet"},
	{"nx_tcp_socket_create", "SocketCreate"},
	{"nx_tcp_socket_delete", "SocketDelete"},
	{"nx_tcp_client_socket_bind", "ClientSocketBind"},
	{"nx_tcp_client_socket_unbind", "ClientSocketUnbind"},
	{"nx_tcp_client_socket_port_get", "ClientSocketPortGet"},
	{"nx_tcp_client_socket_connect", "ClientSocketConnect"},
	{"nxd_tcp_client_socket_connect", "ClientSocketConnect"},
	{"nx_tcp_server_socket_listen", "ServerSocketListen"},
	{"nx_tcp_server_socket_accept", "ServerSocketAccept"},
	{"nx_tcp_server_socket_relisten", "ServerSocketRelisten"},
	{"nx_tcp_server_socket_unaccept", "ServerSocketUnaccept"},
	{"nx_tcp_server_socket_unlisten", "ServerSocketUnlisten"},
	{"nx_tcp_socket_send", "SocketSend"},
	{"nx_tcp_socket_receive", "SocketReceive"},
	{"nx_tcp_socket_receive_notify", "SocketReceiveNotify"},
	{"nx_tcp_socket_disconnect", "SocketDisconnect"},
	{"nx_tcp_socket_disconnect_complete_notify", "SocketDisconnectCompleteNotify"},
	{"nx_tcp_socket_establish_notify", "SocketEstablishNotify"},
	{"nx_tcp_socket_timed_wait_callback", "SocketTimedWaitCallback"},
	{"nx_tcp_socket_window_update_notify_set", "SocketWindowUpdateNotifySet"},
	{"nx_tcp_socket_queue_depth_notify_set", "SocketQueueDepthNotifySet"},
	{"nx_tcp_socket_info_get", "SocketInfoGet"},
	{"nx_tcp_socket_mss_get", "SocketMSSGet"},
	{"nx_tcp_socket_mss_peer_get", "SocketMSSPeerGet"},
	{"nx_tcp_socket_mss_set", "SocketMSSSet"},
	{"nx_tcp_socket_peer_info_get", "SocketPeerInfoGet"},
	{"nxd_tcp_socket_peer_info_get", "SocketPeerInfoGet"},
	{"nx_tcp_socket_bytes_available", "SocketBytesAvailable"},
	{"nx_tcp_socket_state_wait", "SocketStateWait"},
	{"nx_tcp_socket_transmit_configure", "SocketTransmitConfigure"},
	{"nx_tcp_socket_receive_queue_max_set", "SocketReceiveQueueMaxSet"},
	{"nx_tcp_socket_vlan_priority_set", "SocketVLANPrioritySet"},
}
