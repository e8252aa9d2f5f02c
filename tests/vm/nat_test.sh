# shellcheck shell=bash
# UDP encapsulation through a NAT by nftables, and the NAT's change of mind.
. ./nat.sh

test_nat() {
	need_gateways
	make_nat left right
	trap remove_nat EXIT
	describe left 10.9.0.2,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel
	describe right 203.0.113.1,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel
	whack_in left --name t --initiate
	established right
	encapsulated right '20[0-9]{3}' || fail "not through the NAT: $(ip -n right xfrm state)"
	ping_from left 10.2.0.1
	[ "$(esp_packets right 203.0.113.1)" -ge 5 ] || fail "nothing came: $(ip -n right -s xfrm state)"
	[ "$(esp_packets left 203.0.113.2)" -ge 5 ] || fail "nothing came back: $(ip -n left -s xfrm state)"
	# The NAT forgets, and maps otherwise from then on.
	masquerade 30000-30100
	sleep 3
	in_ns left ping -n -q -c 3 -i 0.3 -W 1 10.2.0.1 || true
	until_true 10 encapsulated right '30[0-9]{3}' || fail "not followed: $(ip -n right xfrm state; cat "$work/right/pluto.log")"
	ping_from left 10.2.0.1
	ping_from right 10.1.0.1
}
