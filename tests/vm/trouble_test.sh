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

# ---- netlink answers and events that are lost ------------------------------------------

make_herd() {
	ip netns add herd
	ip -batch - <<-END
		link add uplink netns herd type veth peer name herd netns right
	END
	ip -n herd -batch - <<-END
		link set lo up
		link set uplink up
		address add 198.18.0.2/24 dev uplink
		route add local 10.64.0.0/16 dev lo
	END
	ip -n right -batch - <<-END
		link set herd up
		address add 198.18.0.1/24 dev herd
		route add 10.64.0.0/16 via 198.18.0.2
	END
}

remove_herd() {
	ip netns delete herd
	stop_pluto right
}

count_of() { # KEY: in right's figures
	whack_in right --globalstatus | sed -n "s/^$1=//p"
}

# 1,000 tunnels with a pluto whose netlink sockets have room for two or three messages: 2,000 SAs in, 2,000 out.
test_overrun() {
	need_gateways
	stop_pluto right
	LD_PRELOAD=$PLUTONIUM_BUILD/tests/vm/tiny_buffers.so start_pluto right --uniqueids no
	make_herd
	trap remove_herd EXIT
	whack_in right --listen
	whack_in right --name t --id @responder --host 198.18.0.1 --client 10.0.0.0/16 \
		--to --id %any --host %any --client 10.128.0.0/9 --psk --encrypt --tunnel --allow-narrowing
	in_ns herd "$PLUTONIUM_BUILD/perf/ike_load" --responder 198.18.0.1 --source-prefix 10.64.0.0/16 \
		--psk 'a key that only tests use' --tunnels 1000 --timeout 120
	until_true 30 has_sas right 2000 || fail "$(sas right) SAs, not 2000; $(tail -n 5 "$work/right/pluto.log")"
	[ "$(count_of current.states.ipsec)" = 1000 ] || fail "$(count_of current.states.ipsec) Child SAs"
	[ "$(count_of plutonium.kernel.overruns)" -gt 0 ] || fail "no overrun: $(whack_in right --globalstatus)"
	echo "figure: 2000 SAs, $(count_of plutonium.kernel.overruns) overruns, $(count_of plutonium.kernel.asked_again) requests asked again"
	whack_in right --name t --delete --asynchronous
	until_true 20 has_sas right 0 || fail "$(sas right) SAs stay"
	! ip -n right xfrm policy | grep -q 'src 10.128' || fail "policies stay"
}
