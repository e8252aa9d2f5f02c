# shellcheck shell=bash
# A NAT by nftables between the two sides.
#
#   INSIDE 10.9.0.2 -- 10.9.0.1 nat 203.0.113.1 -- 203.0.113.2 OUTSIDE

net_of() { # SIDE: the second number of its protected net
	[ "$1" = left ] && echo 1 || echo 2
}

make_nat() { # INSIDE OUTSIDE
	local inner outer
	inner=$(net_of "$1") outer=$(net_of "$2")
	ip netns add nat
	ip -batch - <<-END
		link add lan netns $1 type veth peer name lan netns nat
		link add pub netns $2 type veth peer name pub netns nat
	END
	ip -n nat -batch - <<-END
		address add 10.9.0.1/24 dev lan
		address add 203.0.113.1/24 dev pub
		link set lan up
		link set pub up
	END
	ip -n "$1" -batch - <<-END
		address add 10.9.0.2/24 dev lan
		link set lan up
		route add 203.0.113.0/24 via 10.9.0.1
		route replace 10.$outer.0.0/24 via 10.9.0.1 src 10.$inner.0.1
	END
	ip -n "$2" -batch - <<-END
		address add 203.0.113.2/24 dev pub
		link set pub up
		route replace 10.$inner.0.0/24 via 203.0.113.1 src 10.$outer.0.1
	END
	in_ns nat sysctl -q -w net.ipv4.ip_forward=1
	masquerade 20000-20100
	# It forgets a mapping that was not used for so long: sooner than keepalives come.
	in_ns nat sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2
	whack_in left --listen
	! runs right || whack_in right --listen
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

encapsulated() { # OUTSIDE PORT-PATTERN: its SAs
	ip -n "$1" xfrm state | grep -qE "encap type espinudp sport 4500 dport $2"
}

# Five pings from inside, five packets in each of the four SAs
check_nat_traffic() { # INSIDE TARGET OUTSIDE-ADDRESS
	local outside=left side source
	[ "$1" = right ] || outside=right
	ping_from "$1" "$2"
	for source in "$3" 10.9.0.2; do
		[ "$(esp_packets "$1" "$source")" -ge 5 ] || fail "not carried: $(ip -n "$1" -s xfrm state)"
	done
	for source in "$3" 203.0.113.1; do
		[ "$(esp_packets $outside "$source")" -ge 5 ] || fail "not carried: $(ip -n $outside -s xfrm state)"
	done
}
