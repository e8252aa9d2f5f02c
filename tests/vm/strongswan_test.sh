# shellcheck shell=bash
# Packaged strongSwan in place of the pluto on the right: both sides on the kernel's ESP, both initiate.
. ./nat.sh
. ./strongswan.sh

gcm=(--ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128)

# swan_has PATTERN: in its SAs in the kernel
swan_has() {
	ip -n right xfrm state | grep -qF -- "$1" || fail "no $1: $(ip -n right xfrm state)"
}

# with_swan CHILD TARGET LEFT-OUTER RIGHT-OUTER PATTERN: "t" is described; initiated by each end, ended by it
with_swan() {
	start_capture left right
	echo "== ours initiates"
	whack_in left --name t --initiate
	established right
	swan_has "$5"
	check_traffic "$2" "$3" "$4"
	whack_in left --name t --terminate
	both_empty
	echo "== strongSwan initiates"
	initiate_swan "$1"
	established left
	swan_has "$5"
	check_traffic "$2" "$3" "$4"
	swanctl_in --terminate --child "$1" --timeout 10
	both_empty
	no_clear_packets
}

swan_net() { # PATTERN WHACK-OPTION...
	need_swan
	describe left $left $right --tunnel --ike aes_gcm128-sha2_256-dh31 "${@:2}"
	with_swan net4 10.2.0.1 192.0.2.1 192.0.2.2 "$1"
}

test_swan_gcm_128() { swan_net 'rfc4106(gcm(aes))' --esp aes_gcm128; }
test_swan_gcm_256() { swan_net 'rfc4106(gcm(aes))' --esp aes_gcm256; }
test_swan_cbc_sha2() { swan_net 'hmac(sha256)' --esp aes256-sha2_256; }
test_swan_chacha20() { swan_net 'rfc7539esp(chacha20,poly1305)' --esp chacha20_poly1305; }
test_swan_esn() { swan_net 'flag af-unspec esn' --esp aes_gcm128 --esn=yes; }

test_swan_transport() {
	need_swan
	describe left 192.0.2.1 192.0.2.2 --transport "${gcm[@]}"
	with_swan host4 192.0.2.2 192.0.2.1 192.0.2.2 'mode transport'
}

test_swan_ipv6() {
	need_swan
	describe left $left6 $right6 --ipv6 --tunnel "${gcm[@]}"
	with_swan net6 fd00:2::1 2001:db8::1 2001:db8::2 'mode tunnel'
}

test_swan_ipv4_in_ipv6() {
	need_swan
	describe left 2001:db8::1,10.1.0.0/24 2001:db8::2,10.2.0.0/24 --tunnelipv4 --tunnel "${gcm[@]}"
	with_swan net4in6 10.2.0.1 2001:db8::1 2001:db8::2 'mode tunnel'
}

test_swan_ipv6_in_ipv4() {
	need_swan
	describe left 192.0.2.1,fd00:1::/64 192.0.2.2,fd00:2::/64 --tunnelipv6 --tunnel "${gcm[@]}"
	with_swan net6in4 fd00:2::1 192.0.2.1 192.0.2.2 'mode tunnel'
}

# Each end in turn comes from an address that the other does not know.
test_swan_road_warrior() {
	need_swan
	ip -n left address add 192.0.2.11/24 dev wan
	ip -n right address add 192.0.2.12/24 dev wan
	trap 'ip -n left address delete 192.0.2.11/24 dev wan; ip -n right address delete 192.0.2.12/24 dev wan
		whack_in left --listen' EXIT
	whack_in left --listen
	start_capture left right
	describe left 192.0.2.11,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel "${gcm[@]}"
	whack_in left --name t --initiate
	established right
	check_traffic 10.2.0.1 192.0.2.11 192.0.2.2
	whack_in left --name t --delete
	both_empty
	describe left 192.0.2.1,10.1.0.0/24 %any,10.2.0.0/24 --tunnel "${gcm[@]}"
	initiate_swan roadingnet
	established left
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.12
	swanctl_in --terminate --child roadingnet --timeout 10
	both_empty
	# An instance's policy goes with it.
	! ip -n left xfrm policy | grep -q '^src 10.1.0.0/24 dst 10.2.0.0/24' || fail "the policy stays"
	no_clear_packets
}

# Ours behind the NAT.
test_swan_nat() {
	need_swan
	make_nat left right
	trap remove_nat EXIT
	describe left 10.9.0.2,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel "${gcm[@]}"
	whack_in left --name t --initiate
	established right
	encapsulated right '20[0-9]{3}' || fail "not through the NAT: $(ip -n right xfrm state)"
	check_nat_traffic left 10.2.0.1 203.0.113.2
}

# strongSwan behind it.
test_swan_behind_nat() {
	need_swan
	make_nat right left
	trap remove_nat EXIT
	describe left 203.0.113.2,10.1.0.0/24 203.0.113.1,10.2.0.0/24 --tunnel "${gcm[@]}"
	initiate_swan insidenet
	established left
	encapsulated left '20[0-9]{3}' || fail "not through the NAT: $(ip -n left xfrm state)"
	check_nat_traffic right 10.1.0.1 203.0.113.2
}
