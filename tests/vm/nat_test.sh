# shellcheck shell=bash
# UDP encapsulation through a NAT by nftables, and the NAT's change of mind.
#
#   left 10.9.0.2 -- 10.9.0.1 nat 203.0.113.1 -- 203.0.113.2 right

make_nat() {
	ip netns add nat
	ip -batch - <<-END
		link add lan netns left type veth peer name lan netns nat
		link add pub netns right type veth peer name pub netns nat
	END
	ip -n nat -batch - <<-END
		address add 10.9.0.1/24 dev lan
		address add 203.0.113.1/24 dev pub
		link set lan up
		link set pub up
	END
	ip -n left -batch - <<-END
		address add 10.9.0.2/24 dev lan
		link set lan up
		route add 203.0.113.0/24 via 10.9.0.1
		route replace 10.2.0.0/24 via 10.9.0.1 src 10.1.0.1
	END
	ip -n right -batch - <<-END
		address add 203.0.113.2/24 dev pub
		link set pub up
		route replace 10.1.0.0/24 via 203.0.113.1 src 10.2.0.1
	END
	in_ns nat sysctl -q -w net.ipv4.ip_forward=1
	masquerade 20000-20100
	# It forgets a mapping that was not used for so long: sooner than keepalives come.
	in_ns nat sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2
	whack_in left --listen
	whack_in right --listen
}

masquerade() { # PORTS
	in_ns nat nft -f - <<-END
		table ip nat
		delete table ip nat
		table ip nat {
			chain out {
				type nat hook postrouting priority 100
				oifname pub meta l4proto udp masquerade to :$1
			}
		}
	END
}

remove_nat() {
	ip netns del nat
	ip -n left route replace 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1
	ip -n right route replace 10.1.0.0/24 via 192.0.2.1 src 10.2.0.1
}

encapsulated() { # PORT-PATTERN: the right side's SAs
	ip -n right xfrm state | grep -qE "encap type espinudp sport 4500 dport $1"
}

test_nat() {
	need_gateways
	make_nat
	trap remove_nat EXIT
	describe left 10.9.0.2,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel
	describe right 203.0.113.1,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel
	whack_in left --name t --initiate
	established right
	encapsulated '20[0-9]{3}' || fail "not through the NAT: $(ip -n right xfrm state)"
	ping_from left 10.2.0.1
	[ "$(esp_packets right 203.0.113.1)" -ge 5 ] || fail "nothing came: $(ip -n right -s xfrm state)"
	[ "$(esp_packets left 203.0.113.2)" -ge 5 ] || fail "nothing came back: $(ip -n left -s xfrm state)"
	# The NAT forgets, and maps otherwise from then on.
	masquerade 30000-30100
	sleep 4
	in_ns left ping -n -q -c 3 -i 0.3 -W 1 10.2.0.1 || true
	until_true 10 encapsulated '30[0-9]{3}' || fail "not followed: $(ip -n right xfrm state; cat "$work/right/pluto.log")"
	ping_from left 10.2.0.1
	ping_from right 10.1.0.1
}
