# shellcheck shell=bash
# Traffic of which nothing may be lost: a ping every 10 ms and a TCP stream, from left to right, until it is ended.

traffic=$work/traffic

# What the kernel's IPsec has dropped, by cause.
dropped() { # NAMESPACE
	in_ns "$1" awk '$2 { printf "%s%s=%s", n++ ? " " : "", $1, $2 }' /proc/net/xfrm_stat
}

retransmitted() { # NAMESPACE
	in_ns "$1" awk '/^Tcp:/ { if (named++) print $column; else for (i = 1; i <= NF; i++) if ($i == "RetransSegs") column = i }' \
		/proc/net/snmp
}

start_traffic() { # TARGET
	rm -rf "$traffic" && mkdir -p "$traffic"
	head -c 20000 /dev/urandom >"$traffic/piece"
	mkfifo "$traffic/nothing" # whose end would end the connection
	ip netns exec right busybox nc -l -p 7777 <>"$traffic/nothing" >"$traffic/received" &
	echo $! >"$traffic/server"
	until_true 10 in_ns right bash -c 'ss -ltn | grep -q :7777'
	: >"$traffic/wanted"
	: >"$traffic/pieces"
	while [ -e "$traffic/wanted" ]; do
		cat "$traffic/piece"
		echo >>"$traffic/pieces"
		sleep 0.03
	done | ip netns exec left busybox nc "$1" 7777 >/dev/null &
	ip netns exec left ping -n -i 0.01 -W 3 "$1" >"$traffic/ping" &
	echo $! >"$traffic/pinging"
	dropped left >"$traffic/left" && dropped right >"$traffic/right"
	retransmitted left >"$traffic/again"
	until_true 10 test -s "$traffic/received"
}

stop_traffic() {
	rm -f "$traffic/wanted"
	[ ! -e "$traffic/pinging" ] || kill -INT "$(cat "$traffic/pinging")" 2>/dev/null || true
	rm -f "$traffic/pinging"
	until_true 10 test ! -e "/proc/$(cat "$traffic/server")" || kill "$(cat "$traffic/server")"
}

lost_pings() { # those that had just left when it ended are not counted
	awk -F'icmp_seq=| ttl' '/icmp_seq=/ { if (!seen[$2]++) n++; if ($2 > last) last = $2 } END { print last - n }' "$traffic/ping"
}

# The stream has arrived to the last byte. The rest is said.
end_lossy_traffic() {
	stop_traffic
	while read -r _; do cat "$traffic/piece"; done <"$traffic/pieces" | cmp - "$traffic/received" || fail "the stream is broken"
	echo "figure: $(grep -c icmp_seq "$traffic/ping") pings, $(lost_pings) lost; $(stat -c %s "$traffic/received") bytes of TCP," \
		"$(($(retransmitted left) - $(cat "$traffic/again"))) segments sent again;" \
		"dropped: left $(dropped left), right $(dropped right); before: left $(cat "$traffic/left"), right $(cat "$traffic/right")"
}

# Nothing was lost.
end_traffic() {
	local side
	end_lossy_traffic
	[ "$(lost_pings)" = 0 ] || fail "$(lost_pings) pings lost: $(tail -n 3 "$traffic/ping")"
	for side in left right; do
		[ "$(dropped $side)" = "$(cat "$traffic/$side")" ] || fail "dropped in $side: $(dropped $side)"
	done
}

# ---- rekeying ----------------------------------------------------------------------

spis() { # NAMESPACE
	ip -n "$1" xfrm state | awk '/ spi 0x/ && !/0x00000000/ { print $4 }' | sort
}

replaced() { # OLD-SPIS
	local side
	for side in left right; do
		has_sas $side 2 && [ -z "$(comm -12 <(echo "$1") <(spis $side))" ] || return 1
	done
}

# Child SAs are others after the command, and only the new ones are left.
replaces_child() { # COMMAND...
	local before
	before=$(spis left)
	"$@" || fail "$*"
	until_true 20 replaced "$before" ||
		fail "not replaced by $*: $(echo "$before"; ip -n left xfrm state; tail -n 20 "$work/left/pluto.log")"
}

ike_sas_made() {
	whack_in left --globalstatus | sed -n 's/^total.ikev2.ike.established=//p'
}

# The IKE SA is another after the command, the only one; the Child SAs are the same.
replaces_ike() { # COMMAND...
	local before
	before=$(ike_sas_made) spis=$(spis left)
	"$@" || fail "$*"
	until_true 20 ike_replaced $((before + 1)) "$spis" ||
		fail "not replaced by $*: $(ip -n left xfrm state; tail -n 20 "$work/left/pluto.log")"
}

ike_replaced() { # MADE SPIS
	[ "$(ike_sas_made)" = "$1" ] && [ "$(spis left)" = "$2" ] &&
		[ "$(whack_in left --globalstatus | sed -n 's/^current.states.ike=//p')" = 1 ]
}
