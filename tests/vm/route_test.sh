# shellcheck shell=bash
# Routes, source addresses and updown scripts with the kernel's IPsec. The clients' addresses are nobody's
# until the tunnel comes up: 10.8.0.1 at left, 10.9.0.1 at right.

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../config" && pwd)/updown.sh

route_ends() { # NAMESPACE [OPTION of the left end]... -- [OPTION of the right end]...
	local side=$1 left_end=(--id @left --host 192.0.2.1 --client 10.8.0.0/24)
	shift
	while [ "$1" != -- ]; do
		left_end+=("$1")
		shift
	done
	shift
	whack_in "$side" --name t "${left_end[@]}" --to --id @right --host 192.0.2.2 --client 10.9.0.0/24 "$@" \
		--psk --encrypt --tunnel
}

route_to() { # NAMESPACE SUBNET
	ip -n "$1" route show exact "$2"
}

has_address() { # NAMESPACE ADDRESS
	[ -n "$(ip -n "$1" -o address show to "$2")" ]
}

no_route_of_ours() { # NAMESPACE
	[ -z "$(ip -n "$1" route show proto 80)" ] && [ -z "$(ip -n "$1" -6 route show proto 80)" ]
}

both_ends() { # as route_ends
	need_gateways
	local side
	for side in left right; do
		route_ends $side "$@"
	done
}

test_route_sourceip() {
	both_ends --srcip 10.8.0.1 -- --sourceip 10.9.0.1
	start_capture left right
	whack_in left --name t --initiate
	[ "$(route_to left 10.9.0.0/24)" = "10.9.0.0/24 dev wan proto 80 scope link src 10.8.0.1 " ] ||
		fail "left routes: $(ip -n left route)"
	route_to right 10.8.0.0/24 | grep -q 'src 10.9.0.1' || fail "right routes: $(ip -n right route)"
	check_traffic 10.9.0.1 192.0.2.1 192.0.2.2
	no_clear_packets
	whack_in left --connectionstatus --name t | grep -q 'my_ip=10.8.0.1; their_ip=10.9.0.1' || fail "status"
	# Rekeying leaves it all as it is.
	whack_in left --name t --rekey-child
	check_traffic 10.9.0.1 192.0.2.1 192.0.2.2
	start_capture left right
	# Without an SA the policy drops, and what it covers goes nowhere else.
	whack_in left --name t --terminate
	until_true 10 has_sas left 0
	no_ping_from left 10.9.0.1
	no_clear_packets
	whack_in left --name t --delete
	until_true 10 no_route_of_ours left || fail "left over: $(ip -n left route)"
	! has_address left 10.8.0.1 || fail "the source address is still there"
	whack_in right --name t --delete
	until_true 10 no_route_of_ours right || fail "left over: $(ip -n right route)"
	! has_address right 10.9.0.1 || fail "the source address is still there"
}

# The routes that lib.sh has made lead there already.
test_route_not_needed() {
	connect 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel
	no_route_of_ours left || fail "routes: $(ip -n left route)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

test_route_default_script() {
	both_ends --srcip 10.8.0.1 --updown "$script" -- --srcip 10.9.0.1 --updown "$script"
	whack_in left --name t --initiate
	route_to left 10.9.0.0/24 | grep -q '^10.9.0.0/24 dev wan proto 80 .*src 10.8.0.1' ||
		fail "left routes: $(ip -n left route); $(cat "$work/left/pluto.log")"
	check_traffic 10.9.0.1 192.0.2.1 192.0.2.2
	whack_in left --name t --delete
	until_true 20 no_route_of_ours left || fail "left over: $(ip -n left route); $(cat "$work/left/pluto.log")"
	until_true 20 eval '! has_address left 10.8.0.1' || fail "the source address is still there"
	whack_in right --name t --delete
	until_true 20 no_route_of_ours right || fail "left over: $(ip -n right route)"
}

# shellcheck disable=SC2016 # pluto's shell is to expand it
test_route_failing_script() {
	both_ends --srcip 10.8.0.1 --updown 'case $PLUTO_VERB in up-*) echo refused by test; exit 9;; esac' -- --srcip 10.9.0.1
	! whack_in left --name t --initiate || fail "it came up"
	grep -q 'Child SA refused: up-client command exited with status 9: refused by test' "$work/left/pluto.log" ||
		fail "$(cat "$work/left/pluto.log")"
	until_true 10 has_sas left 0 || fail "SAs: $(ip -n left xfrm state)"
	until_true 10 has_sas right 0 || fail "SAs at the peer: $(ip -n right xfrm state)"
}

# shellcheck disable=SC2016
test_route_hanging_script() {
	need_gateways
	stop_pluto left
	start_pluto left --updown-timeout 2
	both_ends --updown 'echo $$ >/tmp/hangs; sleep 1000' -- --srcip 10.9.0.1
	! whack_in left --name t --initiate || fail "it came up"
	grep -q 'Child SA refused: prepare-client command did not end within 2 s' "$work/left/pluto.log" ||
		fail "$(cat "$work/left/pluto.log")"
	! kill -0 "$(cat /tmp/hangs)" 2>/dev/null || fail "it still runs"
	until_true 10 has_sas right 0 || fail "SAs at the peer: $(ip -n right xfrm state)"
	stop_pluto left
}

test_route_after_a_crash() {
	both_ends --srcip 10.8.0.1 -- --srcip 10.9.0.1
	whack_in left --name t --initiate
	check_traffic 10.9.0.1 192.0.2.1 192.0.2.2
	stop_pluto left KILL
	route_to left 10.9.0.0/24 | grep -q 'proto 80' || fail "who has removed the route?"
	start_pluto left
	no_route_of_ours left || fail "left over: $(ip -n left route)"
	! has_address left 10.8.0.1 || fail "the source address is still there"
	grep -q 'removed 1 routes that an earlier run had left' "$work/left/pluto.log" || fail "not said"
	# An orderly end leaves nothing, and takes nothing of others.
	whack_in right --name t --delete || true # left does not know what it is asked to delete
	both_ends --srcip 10.8.0.1 -- --srcip 10.9.0.1
	whack_in left --name t --initiate
	ip -n left route add 10.77.0.0/24 via 192.0.2.2
	stop_pluto left
	no_route_of_ours left || fail "left over: $(ip -n left route)"
	ip -n left route del 10.77.0.0/24 || fail "somebody else's route is gone"
}

# With an xfrm interface the route leads into it.
test_route_into_device() {
	need_gateways
	local side
	for side in left right; do
		whack_in $side --name t --id @left --host 192.0.2.1 --client 10.8.0.0/24 --srcip 10.8.0.1 --to --id @right \
			--host 192.0.2.2 --client 10.9.0.0/24 --srcip 10.9.0.1 --psk --encrypt --tunnel --ipsec-interface 7
	done
	start_capture left right
	whack_in left --name t --initiate
	route_to left 10.9.0.0/24 | grep -q '^10.9.0.0/24 dev ipsec7 proto 80 .*src 10.8.0.1' || fail "left routes: $(ip -n left route)"
	check_traffic 10.9.0.1 192.0.2.1 192.0.2.2
	no_clear_packets
	for side in left right; do
		whack_in $side --name t --delete || true
		until_true 10 no_route_of_ours $side || fail "left over: $(ip -n $side route)"
	done
}
