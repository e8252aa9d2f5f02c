# shellcheck shell=bash
# What ties SAs to marks, devices and addresses: two plutos on the kernel's IPsec.

left=192.0.2.1,10.1.0.0/24 right=192.0.2.2,10.2.0.0/24

mark_all() { # NAMESPACE CHAIN MARK NFT-MATCH
	in_ns "$1" nft -f - <<-END
		table inet marks
		delete table inet marks
		table inet marks {
			chain $2 {
				type $([ "$2" = output ] && echo route || echo filter) hook $2 priority mangle
				$4 meta mark set $3
			}
		}
	END
}

# The right side marks what it sends into the tunnel and the ESP that comes; without a mark nothing matches.
test_mark() {
	need_gateways
	trap 'in_ns right nft delete table inet marks 2>/dev/null; in_ns right nft delete table inet marks2 2>/dev/null || true' EXIT
	describe left $left $right --tunnel
	describe right $left $right --tunnel --conn-mark-out 7/0xff --conn-mark-in 5
	whack_in right --name t --connectionstatus | grep -F 'mark: 5/0xffffffff, 7/0x0000ff;' ||
		fail "$(whack_in right --name t --connectionstatus)"
	whack_in left --name t --initiate
	established right
	ip -n right xfrm state | grep -q 'mark 0x7/0xff' || fail "no mark out: $(ip -n right xfrm state)"
	ip -n right xfrm state | grep -q 'mark 0x5/0xffffffff' || fail "no mark in: $(ip -n right xfrm state)"
	ip -n right xfrm policy | grep -q 'mark 0x7/0xff' || fail "no mark: $(ip -n right xfrm policy)"
	[ "$(ip -n right xfrm policy | grep -c 'mark 0x5/0xffffffff')" = 2 ] || fail "$(ip -n right xfrm policy)"
	no_ping_from left 10.2.0.1
	[ "$(esp_packets right 192.0.2.1)" = 0 ] || fail "unmarked ESP went in: $(ip -n right -s xfrm state)"
	mark_all right prerouting 5 'ip protocol esp'
	in_ns right nft -f - <<-END
		table inet marks2 {
			chain output {
				type route hook output priority mangle
				ip daddr 10.1.0.0/24 meta mark set 0x107
			}
		}
	END
	ping_from left 10.2.0.1
	[ "$(esp_packets right 192.0.2.1)" -ge 5 ] || fail "$(ip -n right -s xfrm state)"
	[ "$(esp_packets right 192.0.2.2)" -ge 5 ] || fail "$(ip -n right -s xfrm state)"
	# They are counted although the kernel wants the marks with each question.
	until_true 5 sh -c "'$whack' --rundir $work/right --trafficstatus | grep -E 'inBytes=[1-9][0-9]*, outBytes=[1-9]'" ||
		fail "$(whack_in right --trafficstatus)"
	whack_in right --name t --delete
	has_sas right 0 || fail "$(ip -n right xfrm state)"
	! ip -n right xfrm policy | grep -q '^src 10' || fail "$(ip -n right xfrm policy)"
}

test_mark_unique() {
	need_gateways
	describe left $left $right --tunnel --conn-mark %unique
	local status
	status=$(whack_in left --name t --connectionstatus | grep -o 'mark: [0-9]*') || fail "no mark"
	[ "${status#mark: }" -ge 1001 ] || fail "$status"
	whack_in left --name t --delete
	describe left $left $right --tunnel --conn-mark -1
	[ "$(whack_in left --name t --connectionstatus | grep -o 'mark: [0-9]*')" != "$status" ] || fail "$status again"
	! describe left $left $right --tunnel --conn-mark 0x100/0xff || fail 'a mark outside of its mask'
	! describe left $left $right --tunnel --conn-mark much || fail 'a word'
}

device_gone() { # NAMESPACE DEVICE
	! ip -n "$1" link show "$2" >/dev/null 2>&1
}

test_ipsec_interface() {
	need_gateways
	trap 'ip -n left route replace 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1; ip -n left link del ipsec9 2>/dev/null || true' EXIT
	describe left $left $right --tunnel --ipsec-interface yes --mtu 1400 |
		tee "$work/added"
	whack_in left --name t --delete
	until_true 5 device_gone left ipsec1 || fail "ipsec1 stays: $(ip -n left link)"

	# On the left only: the other end need not know.
	whack_in left --name t --id @left --host 192.0.2.1 --client 10.1.0.0/24 --interface-ip 10.66.0.1/24 --to \
		--id @right --host 192.0.2.2 --client 10.2.0.0/24 --interface-ip 10.66.0.2/24 \
		--psk --encrypt --tunnel --ipsec-interface 4 --mtu 1300
	describe right $left $right --tunnel
	ip -n left -d link show ipsec4 | grep -E 'xfrm if_id 0x4' || fail "$(ip -n left -d link)"
	ip -n left link show ipsec4 | grep -E 'mtu 1300.*state (UP|UNKNOWN)' || fail "$(ip -n left link)"
	ip -n left addr show ipsec4 | grep -F 'inet 10.66.0.1/24' || fail "$(ip -n left addr)"
	whack_in left --name t --connectionstatus |
		grep -F 'ipsec-interface: ipsec4; interface-id: 4; interface-ip: 10.66.0.1/24; interface-mtu: 1300;' ||
		fail "$(whack_in left --name t --connectionstatus)"
	start_capture left right
	whack_in left --name t --initiate
	established left
	ip -n left xfrm state | grep -q 'if_id 0x4' || fail "$(ip -n left xfrm state)"
	ip -n left xfrm state | grep -q 'output-mark 0x4/0xffffffff' || fail "$(ip -n left xfrm state)"
	[ "$(ip -n left xfrm policy | grep -c 'if_id 0x4')" = 3 ] || fail "$(ip -n left xfrm policy)"
	ip -n left route replace 10.2.0.0/24 dev ipsec4 src 10.1.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	no_clear_packets
	ip -n left -s link show ipsec4 | grep -A1 'RX:' | grep -E ' [1-9]' || fail "$(ip -n left -s link show ipsec4)"

	# Somebody removes it: it is back, and carries again.
	ip -n left link del ipsec4
	until_true 5 grep -q 'ipsec4 was removed by somebody else: it is made again' "$work/left/pluto.log" ||
		fail "$(tail "$work/left/pluto.log")"
	until_true 5 ip -n left link show ipsec4 || fail "not made again: $(cat "$work/left/pluto.log")"
	until_true 5 sh -c 'ip -n left addr show ipsec4 | grep -qF 10.66.0.1/24' || fail "$(ip -n left addr)"
	ip -n left route replace 10.2.0.0/24 dev ipsec4 src 10.1.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2

	# What does not go through the device is none of the connection's.
	ip -n left route replace 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1
	local before
	before=$(esp_packets left 192.0.2.1)
	in_ns left ping -n -q -c 2 -i 0.2 -W 1 10.2.0.1 >/dev/null 2>&1 || true
	[ "$(esp_packets left 192.0.2.1)" = "$before" ] || fail 'the SA took what did not come by the device'

	# Rekeyed, it is tied to it as before.
	ip -n left route replace 10.2.0.0/24 dev ipsec4 src 10.1.0.1
	whack_in left --name t --rekey-child
	until_true 10 has_sas left 2 || fail "$(ip -n left xfrm state)"
	[ "$(ip -n left xfrm state | grep -c 'if_id 0x4')" = 2 ] || fail "$(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2

	# A second user keeps it.
	whack_in left --name t2 --id @left --host 192.0.2.1 --client 10.1.0.0/24 --to --id @right --host 192.0.2.2 \
		--client 10.3.0.0/24 --psk --encrypt --tunnel --ipsec-interface 4
	whack_in left --name t --delete
	sleep 0.5
	ip -n left link show ipsec4 >/dev/null || fail 'gone with its first user'
	! ip -n left addr show ipsec4 | grep -F 'inet 10.66' || fail "the first one's address stays"
	whack_in left --name t2 --delete
	until_true 5 device_gone left ipsec4 || fail "ipsec4 stays: $(ip -n left link)"
}

# The administrator's devices are used and left, if they are what is wanted.
test_interface_collisions() {
	need_gateways
	trap 'for d in ipsec5 ipsec6 ipsec7 other8; do ip -n left link del $d 2>/dev/null; done || true' EXIT
	ip -n left link add ipsec5 type xfrm dev lo if_id 5
	describe left $left $right --tunnel --ipsec-interface 5
	whack_in left --name t --delete
	sleep 0.5
	ip -n left link show ipsec5 >/dev/null || fail "the administrator's device is gone"
	ip -n left link add ipsec6 type dummy 2>/dev/null || ip -n left link add ipsec6 type veth peer name ipsec6x
	local said
	said=$(describe left $left $right --tunnel --ipsec-interface 6) && fail "taken: $said"
	[[ $said == *'device ipsec6 exists and is of type "'*'", not "xfrm"'* ]] || fail "$said"
	ip -n left link add ipsec7 type xfrm dev lo if_id 70
	said=$(describe left $left $right --tunnel --ipsec-interface 7) && fail "taken: $said"
	[[ $said == *'device ipsec7 exists and has if_id 70, not 7'* ]] || fail "$said"
	ip -n left link add other8 type xfrm dev lo if_id 8
	said=$(describe left $left $right --tunnel --ipsec-interface 8) && fail "taken: $said"
	[[ $said == *'another device has its if_id'* ]] || fail "$said"
	has_sas left 0
}

# A crash leaves a device; the next run takes it for its own, and removes it at the end.
test_interface_crash() {
	need_gateways
	describe left $left $right --tunnel --ipsec-interface 3
	ip -n left link show ipsec3 >/dev/null
	stop_pluto left KILL
	ip -n left link show ipsec3 >/dev/null
	local index
	index=$(in_ns left cat /sys/class/net/ipsec3/ifindex 2>/dev/null || ip -n left -o link show ipsec3 | cut -d: -f1)
	start_pluto left
	describe left $left $right --tunnel --ipsec-interface 3
	[ "$(ip -n left -o link show ipsec3 | cut -d: -f1)" = "$index" ] || fail 'made anew'
	stop_pluto left
	device_gone left ipsec3 || fail "stays: $(ip -n left link)"
	start_pluto left
}

test_vti() {
	need_gateways
	trap 'ip -n left route replace 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1' EXIT
	whack_in left --name t --id @left --host 192.0.2.1 --client 10.1.0.0/24 --vti 10.67.0.1/24 --to \
		--id @right --host 192.0.2.2 --client 10.2.0.0/24 --psk --encrypt --tunnel \
		--conn-mark-in 21 --conn-mark-out 22 --vti-interface vti9
	describe right $left $right --tunnel
	ip -n left -d link show vti9 | grep -E 'vti remote 192.0.2.2 local 192.0.2.1 ikey 0.0.0.21 okey 0.0.0.22' ||
		fail "$(ip -n left -d link)"
	ip -n left addr show vti9 | grep -F 'inet 10.67.0.1/24' || fail "$(ip -n left addr)"
	in_ns left sysctl -q -w net.ipv4.conf.vti9.disable_policy=1
	start_capture left right
	whack_in left --name t --initiate
	established left
	ip -n left route replace 10.2.0.0/24 dev vti9 src 10.1.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	no_clear_packets
	! whack_in left --name t2 --id @left --host 192.0.2.1 --client 10.1.0.0/24 --to \
		--id @right --host 192.0.2.2 --client 10.3.0.0/24 --psk --encrypt --tunnel \
		--conn-mark-in 21 --conn-mark-out 22 --vti-interface vti9 || fail 'shared, although nobody said so'
	whack_in left --name t --delete
	until_true 5 device_gone left vti9 || fail "stays: $(ip -n left link)"
	# vti-routing: the route comes and goes with it.
	ip -n left route del 10.2.0.0/24 2>/dev/null || true
	whack_in left --name t --id @left --host 192.0.2.1 --client 10.1.0.0/24 --to \
		--id @right --host 192.0.2.2 --client 10.2.0.0/24 --psk --encrypt --tunnel \
		--conn-mark 23 --vti-interface vti9 --vti-routing --vti-shared
	ip -n left route | grep -E '^10.2.0.0/24 dev vti9' || fail "$(ip -n left route)"
	whack_in left --name t --connectionstatus | grep -F 'vti-iface:vti9; vti-routing:yes; vti-shared:yes;' || fail status
	whack_in left --name t --delete
	until_true 5 device_gone left vti9 || fail "stays: $(ip -n left link)"
}

test_nic_offload() {
	need_gateways
	local said
	said=$(describe left $left $right --tunnel --nic-offload yes) && fail "taken: $said"
	[[ $said == *'nic-offload=yes cannot be had: device wan does no ESP by itself'* ]] || fail "$said"
	connect $left $right --tunnel --nic-offload auto
	log_has left 'nic-offload=auto is done without: device wan does no ESP by itself' || fail "$(cat "$work/left/pluto.log")"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

listens_on() { # NAMESPACE ADDRESS
	in_ns "$1" ss -lun | grep -qF "$2:500"
}

test_address_comes_and_goes() {
	need_gateways
	connect $left $right --tunnel
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	# The whole interface goes and comes back, with nobody saying --listen.
	ip -n left link del wan
	until_true 5 log_has left 'shutting down UDP interface wan 192.0.2.1:500' || fail "$(cat "$work/left/pluto.log")"
	! listens_on left 192.0.2.1 || fail 'still listens'
	whack_in left --name t --connectionstatus | grep -q 'unoriented' || fail 'still oriented'
	ip -batch - <<-END
		link add wan netns left type veth peer name wan netns right
	END
	ip -n left -batch - <<-END
		link set wan up
		address add 192.0.2.1/24 dev wan
		address add 2001:db8::1/64 dev wan nodad
		route add 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1
		route add fd00:2::/64 via 2001:db8::2 src fd00:1::1
	END
	ip -n right -batch - <<-END
		link set wan up
		address add 192.0.2.2/24 dev wan
		address add 2001:db8::2/64 dev wan nodad
		route add 10.1.0.0/24 via 192.0.2.1 src 10.2.0.1
		route add fd00:1::/64 via 2001:db8::1 src fd00:2::1
	END
	until_true 5 listens_on left 192.0.2.1 || fail "$(cat "$work/left/pluto.log")"
	until_true 5 listens_on right 192.0.2.2 || fail "$(cat "$work/right/pluto.log")"
	until_true 5 sh -c "'$whack' --rundir $work/left --name t --connectionstatus | grep -q 'host: oriented'" || fail unoriented
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	# And the IKE SA works: a new Child SA is made over it.
	whack_in left --name t --rekey-child
	until_true 10 has_sas left 2 || fail "$(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}
