#!/bin/bash
# demo.sh [BUILDDIR]: two gateways on this machine, a tunnel by whack, traffic through DPDK-driven ESP, and the proof.
#
#   host-west 10.1.0.10 -- gw-west 192.0.2.1 == wire == 192.0.2.2 gw-east -- 10.2.0.10 host-east
#
# Each is a network namespace; "wire" only holds a bridge, to listen at. The last line is "demo: ok ..." or "demo: FAILED ...".
set -u -o pipefail
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
build=${1:-$top/build}
pluto=$build/src/pluto/pluto whack=$build/whack/whack
id=pld$$
nodes="host-west gw-west wire gw-east host-east"
dir=$(mktemp -d "/tmp/$id-XXXXXX")
pids=()
started=$SECONDS

clean_up() {
	local node
	trap '' INT TERM
	[ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
	wait 2>/dev/null
	for node in $nodes; do
		ip netns del "$id-$node" 2>/dev/null
	done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'printf "\ndemo: interrupted\n"; exit 130' INT TERM HUP

fail() {
	local log
	for log in "$dir"/*/pluto.log "$dir"/*/output; do
		[ -s "$log" ] && printf -- '--- %s\n' "$log" && tail -n 25 "$log"
	done
	echo "demo: FAILED: $*"
	exit 1
}

title() { printf '\n# %s\n' "$*"; }

# Prints the command as one would type it, and runs it.
run() {
	printf '$'
	printf ' %s' "$@" | sed "s|$top/||g"
	echo
	"$@"
}

try() { run "$@" || fail "status $? of: $*"; }

in_ns() { # NODE COMMAND...
	local node=$1
	shift
	try ip netns exec "$id-$node" "$@"
}

start() { # NODE OUTPUT COMMAND...: in the background; its process id in $!
	local node=$1 output=$2
	shift 2
	printf '$'
	printf ' %s' ip netns exec "$id-$node" "$@" "&" | sed "s|$top/||g"
	echo
	ip netns exec "$id-$node" "$@" >"$output" 2>"$output.err" &
	pids+=($!)
}

# ---- the machines -------------------------------------------------------------

link() { # NODE DEVICE NODE DEVICE
	try ip link add "$2" netns "$id-$1" type veth peer name "$4" netns "$id-$3"
}

# The kernel leaves checksums and segments of its own packets to the next device: here to none.
kernel_end() { # NODE DEVICE
	ip netns exec "$id-$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null || fail "ethtool in $1"
	try ip -n "$id-$1" link set "$2" up
}

make_machines() {
	local node
	title "five namespaces: two hosts, two gateways, the wire between the gateways"
	for node in $nodes; do
		try ip netns add "$id-$node"
		ip -n "$id-$node" link set lo up
	done
	link host-west eth0 gw-west lan
	link gw-west wan wire west
	link gw-east wan wire east
	link host-east eth0 gw-east lan
	# The wire says nothing of its own.
	ip netns exec "$id-wire" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	try ip -n "$id-wire" link add wire type bridge mcast_snooping 0
	for node in west east; do
		try ip -n "$id-wire" link set $node master wire
		kernel_end wire $node
	done
	ip -n "$id-wire" link set wire up
	kernel_end host-west eth0
	kernel_end host-east eth0
	try ip -n "$id-host-west" address add 10.1.0.10/24 dev eth0
	try ip -n "$id-host-east" address add 10.2.0.10/24 dev eth0
	try ip -n "$id-host-west" route add default via 10.1.0.1
	try ip -n "$id-host-east" route add default via 10.2.0.1
}

start_gateway() { # NODE
	mkdir "$dir/$1"
	printf '@gw-west @gw-east : PSK "%s"\n' "$psk" >"$dir/$1/ipsec.secrets"
	start "$1" "$dir/$1/output" "$pluto" --nofork --use-dpdk --dataplane-port wan=wan0 --dataplane-port lan=lan0 \
		--rundir "$dir/$1" --secretsfile "$dir/$1/ipsec.secrets" --logfile "$dir/$1/pluto.log"
}

wait_for_gateway() { # NODE PID
	local i
	for ((i = 0; i < 200; i++)); do
		[ -S "$dir/$1/pluto.ctl" ] && "$whack" --rundir "$dir/$1" --briefstatus >/dev/null 2>&1 && return
		kill -0 "$2" 2>/dev/null || break
		sleep 0.1
	done
	fail "pluto in $1 does not serve whack"
}

twin_addresses() { # NODE OUTER INNER
	try ip -n "$id-$1" address add "$2" dev wan0
	try ip -n "$id-$1" address add "$3" dev lan0
}

# ---- counting -----------------------------------------------------------------

counter() { # NODE KEY
	"$whack" --rundir "$dir/$1" --globalstatus | sed -n "s/^plutonium\.dataplane\.$2=//p"
}

wire_count() { # KIND SOURCE TARGET -> "PACKETS BYTES"
	awk -v k="$1" -v s="$2" -v t="$3" '$1 == k && $2 == s && $3 == t { p += $4; b += $5 } END { print p + 0, b + 0 }' \
		"$dir/wire.counts"
}

row() { printf '%-28s %10s %14s   %s\n' "$@"; }

# ---- the story ----------------------------------------------------------------

[ "$(id -u)" -eq 0 ] || fail "must run as root: it makes network namespaces"
for program in "$pluto" "$whack"; do
	[ -x "$program" ] || fail "$program is not built: ./quickstart build"
done
psk=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')

make_machines
title "a pluto in each gateway; its dataplane takes the veths over and leaves the kernel a TAP twin of each"
start_gateway gw-west
west_pid=${pids[-1]}
start_gateway gw-east
east_pid=${pids[-1]}
wait_for_gateway gw-west "$west_pid"
wait_for_gateway gw-east "$east_pid"
twin_addresses gw-west 192.0.2.1/24 10.1.0.1/24
twin_addresses gw-east 192.0.2.2/24 10.2.0.1/24
title "ordinary traffic with a gateway goes through the twins"
in_ns gw-west ping -n -q -c 2 -i 0.2 -W 2 192.0.2.2
in_ns host-west ping -n -q -c 2 -i 0.2 -W 2 10.1.0.1

title "the wire is watched from here on"
start wire "$dir/tcpdump" tcpdump -n -i west --immediate-mode -s 128 -B 65536 -w "$dir/wire.pcap"
tcpdump_pid=${pids[-1]}
for ((i = 0; i < 100; i++)); do
	grep -qs 'listening on' "$dir/tcpdump.err" && break
	sleep 0.05
done
[ "$i" -lt 100 ] || fail "tcpdump does not start: $(cat "$dir/tcpdump.err")"

title "connections, and the tunnel"
add() { # NODE
	try "$whack" --rundir "$dir/$1" --name west-east \
		--id @gw-west --host 192.0.2.1 --client 10.1.0.0/24 --to --id @gw-east --host 192.0.2.2 --client 10.2.0.0/24 \
		--psk --encrypt --tunnel --ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128
	try "$whack" --rundir "$dir/$1" --listen
}
add gw-west
add gw-east
try "$whack" --rundir "$dir/gw-west" --name west-east --initiate

title "through the tunnel: ping, and 32 MiB by TCP in both directions"
in_ns host-west ping -n -q -c 10 -i 0.05 -W 2 10.2.0.10
transfer() { # FROM TO ADDRESS
	start "$2" "$dir/received" "$top/scripts/transfer.py" receive "$3" 5001
	local receiver=$! i
	for ((i = 0; i < 100; i++)); do
		ip netns exec "$id-$2" ss -Hltn | grep -q ":5001 " && break
		sleep 0.05
	done
	in_ns "$1" "$top/scripts/transfer.py" send "$3" 5001 32 | tee "$dir/sent"
	wait "$receiver" || fail "the receiver: $(cat "$dir/received.err")"
	grep -v '^\$' "$dir/sent" | cmp -s - "$dir/received" || fail "what arrived is not what was sent: $(cat "$dir/received")"
	echo "received the same: $(cat "$dir/received")"
}
transfer host-west host-east 10.2.0.10
transfer host-east host-west 10.1.0.10
try "$whack" --rundir "$dir/gw-west" --trafficstatus
try "$whack" --rundir "$dir/gw-east" --trafficstatus

sleep 0.3
kill -INT "$tcpdump_pid"
wait "$tcpdump_pid"
grep -q '^0 packets dropped by kernel' "$dir/tcpdump.err" || fail "the watcher missed packets: $(cat "$dir/tcpdump.err")"
"$top/scripts/wire.py" "$dir/wire.pcap" >"$dir/wire.counts" || fail "the capture cannot be read"
read -r we_packets we_bytes < <(wire_count esp 192.0.2.1 192.0.2.2)
read -r ew_packets ew_bytes < <(wire_count esp 192.0.2.2 192.0.2.1)
ike=$(($(wire_count ike 192.0.2.1 192.0.2.2 | cut -d' ' -f1) + $(wire_count ike 192.0.2.2 192.0.2.1 | cut -d' ' -f1)))
clear=$(awk '$1 !~ /^(esp|ike|arp|nd)$/ { n += $4 } END { print n + 0 }' "$dir/wire.counts")
declare -A dp
for node in gw-west gw-east; do
	for key in esp_in_packets esp_in_bytes esp_out_packets esp_out_bytes; do
		dp[$node.$key]=$(counter $node $key)
	done
done

title "what the dataplanes counted, and what was seen on the wire"
row "" packets bytes ""
row "gw-west ESP out" "${dp[gw-west.esp_out_packets]}" "${dp[gw-west.esp_out_bytes]}" "(bytes of the protected packets)"
row "  on the wire, west > east" "$we_packets" "$we_bytes" "(bytes of the ESP packets)"
row "gw-east ESP in" "${dp[gw-east.esp_in_packets]}" "${dp[gw-east.esp_in_bytes]}" ""
row "gw-east ESP out" "${dp[gw-east.esp_out_packets]}" "${dp[gw-east.esp_out_bytes]}" ""
row "  on the wire, east > west" "$ew_packets" "$ew_bytes" ""
row "gw-west ESP in" "${dp[gw-west.esp_in_packets]}" "${dp[gw-west.esp_in_bytes]}" ""
row "  IKE on the wire" "$ike" "" ""
row "  clear packets on the wire" "$clear" "" ""

expect() { # WHAT TEST-EXPRESSION...
	local what=$1
	shift
	[ "$@" ] || fail "$what"
}
expect "packets that are neither ESP nor IKE: $(grep -vE '^(esp|ike|arp|nd) ' "$dir/wire.counts" | head -3)" "$clear" -eq 0
expect "only $ike IKE packets on the wire" "$ike" -ge 4
expect "the transfer to the east was not on the wire as ESP" "$we_bytes" -gt 33554432
expect "the transfer to the west was not on the wire as ESP" "$ew_bytes" -gt 33554432
# Each count is at most the one before it; a busy machine may lose a packet in the socket buffers between, and TCP repairs it.
follows() { # WHAT BEFORE COUNT
	expect "$1: $3 packets of $2" "$3" -le "$2"
	expect "$1: $3 packets of $2" "$3" -ge $(($2 * 9 / 10))
}
follows "on the wire, west > east" "${dp[gw-west.esp_out_packets]}" "$we_packets"
follows "gw-east ESP in" "$we_packets" "${dp[gw-east.esp_in_packets]}"
follows "on the wire, east > west" "${dp[gw-east.esp_out_packets]}" "$ew_packets"
follows "gw-west ESP in" "$ew_packets" "${dp[gw-west.esp_in_packets]}"

title "and down again"
try "$whack" --rundir "$dir/gw-west" --name west-east --terminate
for node in gw-west gw-east; do
	try "$whack" --rundir "$dir/$node" --shutdown
done
wait "$west_pid" || fail "pluto in gw-west ended with status $?"
wait "$east_pid" || fail "pluto in gw-east ended with status $?"

printf '\ndemo: ok, %d ESP packets, 64 MiB by TCP, no clear packet, %d s\n' $((we_packets + ew_packets)) $((SECONDS - started))
