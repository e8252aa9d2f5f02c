# shellcheck shell=bash
# What goes wrong around a tunnel: limits that are reached while the peer is silent, daemons that die, links that are cut.

dpd=(--dpddelay 1 --retransmit-timeout 3)

answers() { # NAMESPACE TARGET
	in_ns "$1" ping -n -q -c 1 -W 1 "$2"
}

comes_back() { # TARGET
	until_true 30 answers left "$1" || fail "not back: $(tail -n 30 "$work/left/pluto.log"; ip -n left -s xfrm state)"
}

signal() { # NAMESPACE SIGNAL
	kill "-$2" "$(cat "$work/$1/process")"
}

# The peer's daemon stands still, its kernel goes on: the SAs cannot be rekeyed. At the limit they are gone, and nothing
# leaves, neither by them nor in clear.
test_hard_limit() {
	need_gateways
	start_capture left right
	connect $left $right --tunnel --ipsec-max-bytes 40000
	trap 'signal right CONT' EXIT
	signal right STOP
	in_ns left ping -n -q -c 60 -i 0.02 -W 1 -s 1000 10.2.0.1 >"$work/ping" || true
	until_true 10 log_has left 'reached its byte or packet limit' || fail "no limit: $(cat "$work/left/pluto.log")"
	! grep -q ' 60 received' "$work/ping" || fail "all have passed: $(cat "$work/ping")"
	has_sas left 0 || fail "SAs: $(ip -n left -s xfrm state)"
	local before
	before=$(esp_packets right 192.0.2.1)
	no_ping_from left 10.2.0.1
	[ "$(esp_packets right 192.0.2.1)" = "$before" ] || fail "ESP has come: $(ip -n right -s xfrm state)"
	signal right CONT
	trap - EXIT
	comes_back 10.2.0.1
	no_clear_packets
}

# The link is cut: both ends find out, clear their SAs and let nothing leave; who initiated brings the tunnel back.
test_link_cut() {
	need_gateways
	start_capture left right
	connect $left $right --tunnel "${dpd[@]}"
	ip -n right link set wan down
	trap 'make_gateway right 2 1' EXIT
	until_true 20 has_sas left 0 || fail "SAs in left: $(ip -n left xfrm state; cat "$work/left/pluto.log")"
	until_true 20 has_sas right 0 || fail "SAs in right: $(ip -n right xfrm state; cat "$work/right/pluto.log")"
	no_ping_from left 10.2.0.1
	make_gateway right 2 1
	trap - EXIT
	comes_back 10.2.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	no_clear_packets
}

# The responder dies without a word and is started again: the initiator finds out.
test_responder_killed() {
	connect $left $right --tunnel "${dpd[@]}"
	stop_pluto right KILL
	start_pluto right
	describe right $left $right --tunnel "${dpd[@]}"
	comes_back 10.2.0.1
	until_true 30 has_sas left 2
	until_true 30 has_sas right 2
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

# The initiator dies and comes back: its new IKE SA ends the one that the responder still had.
test_initiator_killed() {
	connect $left $right --tunnel
	stop_pluto left KILL
	start_pluto left
	describe left $left $right --tunnel
	whack_in left --name t --initiate
	established left
	until_true 30 has_sas right 2 || fail "the old SAs stay: $(ip -n right xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

# The device is removed and made anew, with the same addresses.
test_device_anew() {
	connect $left $right --tunnel "${dpd[@]}"
	ip -n left link delete wan
	trap wire_gateways EXIT
	no_ping_from left 10.2.0.1
	wire_gateways
	trap - EXIT
	comes_back 10.2.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}
