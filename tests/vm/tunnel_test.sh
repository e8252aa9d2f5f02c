# shellcheck shell=bash
# Tunnels between two plutos on the kernel's ESP.

test_tunnel() {
	need_gateways
	start_capture left right
	connect $left $right --tunnel
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	ping_from right 10.1.0.1
	no_clear_packets
	ip -n left xfrm state | grep -q 'flag.*esn' || fail "no ESN: $(ip -n left xfrm state)"
	ip -n left -s xfrm state | grep -q 'replay_window 128' || fail "not the window: $(ip -n left -s xfrm state)"
}

algorithm() { # ESP KERNEL-NAME [WHACK-OPTION]...
	connect $left $right --tunnel --esp "$1" "${@:3}"
	ip -n left xfrm state | grep -qF "$2" || fail "no $2: $(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

test_gcm_128() { algorithm aes_gcm128 'rfc4106(gcm(aes))'; }
test_gcm_256() { algorithm aes_gcm256 'rfc4106(gcm(aes))'; }
test_cbc_sha2() { algorithm aes256-sha2_256 'hmac(sha256)'; }
test_chacha20() { algorithm chacha20_poly1305 'rfc7539esp(chacha20,poly1305)'; }

test_no_esn() {
	connect $left $right --tunnel --esn=no
	! ip -n left xfrm state | grep -q "flag.*esn" || fail "ESN: $(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

test_transport() {
	need_gateways
	start_capture left right
	connect 192.0.2.1 192.0.2.2 --transport
	ip -n left xfrm state | grep -q 'mode transport'
	check_traffic 192.0.2.2 192.0.2.1 192.0.2.2
	no_clear_packets
}

test_ipv6() {
	connect $left6 $right6 --ipv6 --tunnel
	check_traffic fd00:2::1 2001:db8::1 2001:db8::2
}

# Neighbours have to be found although all between the hosts is protected.
test_transport_ipv6() {
	connect 2001:db8::1 2001:db8::2 --ipv6 --transport
	ip -n left neighbour flush dev wan
	check_traffic 2001:db8::2 2001:db8::1 2001:db8::2
}

test_ipv4_in_ipv6() {
	ip -n left route replace 10.2.0.0/24 via inet6 2001:db8::2 dev wan src 10.1.0.1
	connect 2001:db8::1,10.1.0.0/24 2001:db8::2,10.2.0.0/24 --tunnelipv4 --tunnel
	check_traffic 10.2.0.1 2001:db8::1 2001:db8::2
}

test_ipv6_in_ipv4() {
	connect 192.0.2.1,fd00:1::/64 192.0.2.2,fd00:2::/64 --tunnelipv6 --tunnel
	check_traffic fd00:2::1 192.0.2.1 192.0.2.2
}

# With the SAs gone, nothing leaves; with the connection gone, all is as it was.
test_terminate_and_delete() {
	connect $left $right --tunnel
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	start_capture left right
	whack_in left --name t --terminate
	until_true 10 has_sas right 0 || fail "SAs in right: $(ip -n right xfrm state)"
	until_true 10 has_sas left 0 || fail "SAs in left: $(ip -n left xfrm state)"
	ip -n left xfrm policy | grep -q '^src 10.1.0.0/24 dst 10.2.0.0/24' || fail "the policy is gone"
	no_ping_from left 10.2.0.1
	no_clear_packets
	whack_in left --name t --delete
	whack_in right --name t --delete
	! ip -n left xfrm policy | grep -q '^src 10' || fail "policies: $(ip -n left xfrm policy)"
	ping_from left 10.2.0.1
}

rekeyed() {
	log_has left 'rekeyed Child SA #'
}

test_soft_limit() {
	connect $left $right --tunnel --ipsec-max-bytes 20000
	in_ns left ping -n -q -c 30 -i 0.02 -s 1000 10.2.0.1 >"$work/ping"
	grep -q ' 0% packet loss' "$work/ping" || fail "lost while rekeying: $(cat "$work/ping")"
	until_true 20 rekeyed || fail "not rekeyed: $(tail -n 20 "$work/left/pluto.log")"
	until_true 20 has_sas left 2 || fail "the old SAs stay: $(ip -n left -s xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

# A crash leaves SAs and policies: the next run takes them away, and only its own.
test_restart() {
	connect $left $right --tunnel
	ip -n left xfrm state add src 198.51.100.1 dst 198.51.100.2 proto esp spi 0x1234 reqid 7 mode tunnel \
		aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128
	ip -n left xfrm policy add src 198.51.100.0/24 dst 203.0.113.0/24 dir out priority 5
	stop_pluto left KILL
	has_sas left 3
	no_policy_but_ours left && fail "no policy has stayed"
	start_pluto left
	log_has left 'removed 2 SAs and [0-9]+ policies that an earlier run' || fail "$(cat "$work/left/pluto.log")"
	ip -n left xfrm state | grep -q 'spi 0x00001234' || fail "another's SA is gone"
	has_sas left 1
	ip -n left xfrm policy | grep -q '^src 198.51.100.0/24' || fail "another's policy is gone"
	no_policy_but_ours left || fail "policies: $(ip -n left xfrm policy)"
	ip -n left xfrm state flush
	ip -n left xfrm policy delete src 198.51.100.0/24 dst 203.0.113.0/24 dir out
}

no_policy_but_ours() {
	! ip -n "$1" xfrm policy | grep -qE '^src (10|192)'
}

test_leave_state() {
	connect $left $right --tunnel
	whack_in left --shutdown --leave-state || true
	until_true 20 test ! -e "/proc/$(cat "$work/left/process")"
	rm "$work/left/process"
	has_sas left 2
	ping_from left 10.2.0.1
	start_pluto left
	has_sas left 0
	whack_in left --shutdown
	until_true 20 test ! -e "/proc/$(cat "$work/left/process")"
	rm "$work/left/process"
	# An orderly end leaves nothing, not even for neighbours.
	! ip -n left xfrm policy | grep -q '^src' || fail "policies: $(ip -n left xfrm policy)"
	start_pluto left
}
