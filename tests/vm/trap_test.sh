# shellcheck shell=bash
# Traps and shunts on the kernel's ESP: traffic brings a tunnel up, and what happens to it when there is none.

trap_left=192.0.2.1,10.1.0.0/24 trap_right=192.0.2.2,10.2.0.0/24

routing_is() { # NAMESPACE WORD [CONNECTION]
	whack_in "$1" --name "${3-t}" --connectionstatus | grep -q "routing: $2;"
}

expect_routing() { # NAMESPACE WORD [CONNECTION]
	until_true 60 routing_is "$@" || {
		tail -n 20 "$work/$1/pluto.log"
		fail "$1 is not $2: $(whack_in "$1" --name "${3-t}" --connectionstatus | grep -E 'routing:')"
	}
}

describe_both() { # [WHACK-OPTION]...
	need_gateways
	describe left $trap_left $trap_right --tunnel "$@"
	describe right $trap_left $trap_right --tunnel "$@"
}

# One ping, whose packet must not be lost; prints the time from the request to the answer. How long a negotiation
# takes is the machine's business: the emulation may be twenty times slower.
first_ping() { # NAMESPACE TARGET
	local out
	out=$(in_ns "$1" ping -n -c 1 -W 60 "$2" 2>&1) || {
		tail -n 20 "$work/$1/pluto.log" >&2
		fail "the first packet to $2 has no answer: $out" >&2
	}
	sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p' <<<"$out"
}

# Nobody reads what comes to the port.
silent_peer() {
	kill -STOP "$(cat "$work/right/process")"
}

peer_speaks() {
	kill -CONT "$(cat "$work/right/process")"
}

test_trap_first_packet() {
	need_gateways
	start_capture left right
	describe_both
	whack_in left --name t --route || fail "--route ends with $?"
	expect_routing left routed-ondemand
	ip -n left xfrm policy | grep -q '^src 10.1.0.0/24 dst 10.2.0.0/24' || fail "no policy: $(ip -n left xfrm policy)"
	has_sas left 0
	local ms
	ms=$(first_ping left 10.2.0.1)
	echo "figure: the ping that met the trap was answered after $ms ms"
	expect_routing left routed-tunnel
	established left
	established right
	# ping looks for its source address by a UDP socket first: that asks as well.
	log_has left 'initiate on-demand for packet 10.1.0.1/32/(ICMP/2048|UDP/[0-9]*)===10.2.0.1/32/' ||
		fail "$(cat "$work/left/pluto.log")"
	[ "$(grep -c 'initiating IKEv2 connection' "$work/left/pluto.log")" = 1 ] || fail "more than one negotiation"
	ping_from left 10.2.0.1
	ping_from right 10.1.0.1
	no_clear_packets
}

# Ends: the trap is back, and traffic brings the tunnel up again; from either side.
test_trap_is_back() {
	describe_both
	whack_in left --name t --route
	whack_in right --name t --route
	first_ping left 10.2.0.1 >/dev/null
	established right
	start_capture left right
	local side
	for side in left right; do
		whack_in $side --name t --terminate
		expect_routing left routed-ondemand
		expect_routing right routed-ondemand
		has_sas left 0
		echo "figure: after --terminate by $side the next ping was answered after $(first_ping right 10.1.0.1) ms"
		expect_routing left routed-tunnel
		expect_routing right routed-tunnel
	done
	no_clear_packets
}

# Many flows at once: one negotiation, and no packet in clear.
test_trap_flood() {
	describe_both
	whack_in left --name t --route
	start_capture left
	in_ns left /usr/bin/python3 - <<-'END'
		import socket
		sockets = []
		for i in range(1000):
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.setblocking(False)
		    s.bind(("10.1.0.1", 20000 + i))
		    try:
		        s.sendto(b"x", ("10.2.0.%d" % (1 + i % 250), 1000 + i % 100))
		    except OSError:
		        pass
		    sockets.append(s)
	END
	expect_routing left routed-tunnel
	[ "$(grep -c 'initiating IKEv2 connection' "$work/left/pluto.log")" = 1 ] || fail "more than one negotiation"
	has_sas left 2
	no_clear_packets
}

test_unroute() {
	describe_both
	whack_in left --name t --route
	first_ping left 10.2.0.1 >/dev/null
	expect_routing left routed-tunnel
	local status=0
	whack_in left --name t --unroute >"$work/unroute.said" || status=$?
	[ $status = 26 ] || fail "--unroute of a tunnel ends with $status: $(cat "$work/unroute.said")"
	grep -q 'an IPsec SA is using it' "$work/unroute.said"
	expect_routing left routed-tunnel
	whack_in left --name t --terminate
	expect_routing left routed-ondemand
	whack_in left --name t --unroute
	expect_routing left unrouted
	! ip -n left xfrm policy | grep -q '^src 10' || fail "policies: $(ip -n left xfrm policy)"
	whack_in right --name t --unroute # its policy would drop what comes in clear
	ping_from left 10.2.0.1
	has_sas left 0
}

# A peer that says nothing: what is asked for happens to the traffic, for its time.
test_failure_shunts() {
	need_gateways
	trap peer_speaks EXIT
	local what
	for what in none pass drop; do
		describe left $trap_left $trap_right --tunnel --fail$what --retransmit-timeout 2
		silent_peer
		start_capture left
		whack_in left --name t --route
		in_ns left ping -n -q -c 1 -W 1 10.2.0.1 >/dev/null 2>&1 || true
		if [ $what = none ]; then
			until_true 60 log_has left 'deleting IKE SA'
			expect_routing left routed-ondemand
		else
			expect_routing left routed-failure
		fi
		whack_in left --shuntstatus >"$work/shunts"
		in_ns left ping -n -q -c 2 -i 0.2 -W 1 10.2.0.1 >"$work/ping" 2>&1 || true
		peer_speaks
		case $what in
		none)
			! grep -q '=>' "$work/shunts" || fail "$(cat "$work/shunts")"
			no_clear_packets
			;;
		pass)
			grep -qE '^10.1.0.0/24:0 -0-> 10.2.0.0/24:0 => %pass    negotiation of "t" failed; asked for by [1-9]' \
				"$work/shunts" || fail "$(cat "$work/shunts")"
			clear_packets >"$work/clear"
			grep -q '10.1.0.1 > 10.2.0.1: ICMP echo request' "$work/clear" || fail "nothing passes: $(cat "$work/clear")"
			;;
		drop)
			grep -q '=> %drop' "$work/shunts" || fail "$(cat "$work/shunts")"
			no_clear_packets
			;;
		esac
		whack_in left --name t --delete
		: >"$work/left/pluto.log"
	done
}

# Connections that are shunts: the narrower one decides, and priority= before that.
test_shunt_connections() {
	describe_both
	whack_in left --name t --route
	whack_in left --name p --host 192.0.2.1 --client 10.1.0.0/24 --to --host 192.0.2.2 --client 10.2.0.1/32 \
		--auth-never --pass
	whack_in left --name p --route
	expect_routing left routed-never-negotiate p
	start_capture left
	ping_from left 10.2.0.1
	clear_packets >"$work/clear"
	grep -q '10.1.0.1 > 10.2.0.1: ICMP echo request' "$work/clear" || fail "it does not pass in clear: $(cat "$work/clear")"
	has_sas left 0
	whack_in left --name p --delete
	whack_in left --name p --host 192.0.2.1 --client 10.1.0.0/24 --to --host 192.0.2.2 --client 10.2.0.1/32 \
		--auth-never --drop
	whack_in left --name p --route
	start_capture left
	no_ping_from left 10.2.0.1
	no_clear_packets
	has_sas left 0
	whack_in left --name p --unroute
	first_ping left 10.2.0.1 >/dev/null
	has_sas left 2
	# Wider, but preferred by its number.
	whack_in left --name p --delete
	whack_in left --name t --delete
	describe left $trap_left $trap_right --tunnel --priority 20
	whack_in left --name p --host 192.0.2.1 --client 10.1.0.0/16 --to --host 192.0.2.2 --client 10.2.0.0/16 \
		--auth-never --reject --priority 10 2>/dev/null
	whack_in left --name t --route
	whack_in left --name p --route
	start_capture left
	no_ping_from left 10.2.0.1
	no_clear_packets
	whack_in left --name p --delete
	first_ping left 10.2.0.1 >/dev/null
}

# The address goes and comes back: so does the trap.
test_trap_follows_orientation() {
	describe_both
	whack_in left --name t --route
	expect_routing left routed-ondemand
	ip -n left address delete 192.0.2.1/24 dev wan
	whack_in left --listen >/dev/null
	until_true 5 no_policy_but_ours left || fail "policies: $(ip -n left xfrm policy)"
	ip -n left address add 192.0.2.1/24 dev wan
	ip -n left route replace 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1
	whack_in left --listen >/dev/null
	expect_routing left routed-ondemand
	first_ping left 10.2.0.1 >/dev/null
}
