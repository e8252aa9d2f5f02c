# shellcheck shell=bash
# What the tests in the guest share: two gateways, each a namespace with a pluto on the kernel's IPsec.
#
#   left 10.1.0.1 fd00:1::1 == 192.0.2.1 2001:db8::1 -- 192.0.2.2 2001:db8::2 == right 10.2.0.1 fd00:2::1
#
# They are started once, by the first test that needs them; connections are taken away behind each test.

pluto=$PLUTONIUM_BUILD/src/pluto/pluto
whack=$PLUTONIUM_BUILD/whack/whack
work=/tmp/plutonium-vm
mkdir -p "$work"

uptime_ms() {
	local up
	read -r up _ </proc/uptime
	echo "$((10#${up/./}))0"
}

fail() {
	trap - ERR
	echo "failed: $*"
	exit 1
}

skip() {
	trap - ERR
	echo "$*"
	exit 77
}

# until_true SECONDS COMMAND...: until the command succeeds
until_true() {
	local end=$(($(uptime_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(uptime_ms)" -lt $end ] || return 1
		sleep 0.1
	done
}

in_ns() {
	ip netns exec "$@"
}

# ---- the two gateways ------------------------------------------------------------

make_gateway() { # NAMESPACE NUMBER PEER'S-NUMBER
	ip -n "$1" -batch - <<-END
		link set lo up
		link set wan up
		address replace 192.0.2.$2/24 dev wan
		address replace 2001:db8::$2/64 dev wan nodad
		address replace 10.$2.0.1/24 dev lo
		address replace fd00:$2::1/64 dev lo nodad
		route replace 10.$3.0.0/24 via 192.0.2.$3 src 10.$2.0.1
		route replace fd00:$3::/64 via 2001:db8::$3 src fd00:$2::1
	END
}

make_namespaces() {
	ip netns add left
	ip netns add right
	wire_gateways
}

wire_gateways() {
	ip link add wan netns left type veth peer name wan netns right
	make_gateway left 1 2
	make_gateway right 2 1
}

start_pluto() { # NAMESPACE [OPTION]...
	launch_pluto "$@"
	await_pluto "$1"
}

launch_pluto() { # NAMESPACE [OPTION]...
	local dir=$work/$1 shards=1
	[ "$1" != right ] || shards=2 # two channels to the kernel
	mkdir -p "$dir"
	[ ! -e "$dir/nss" ] || set -- "$@" --nssdir "$dir/nss"
	# Any identities: one key.
	printf ': PSK "a key that only tests use"\n' >"$dir/ipsec.secrets"
	chmod 600 "$dir/ipsec.secrets"
	ip netns exec "$1" "$pluto" --nofork "--use-${interface=xfrm}" --rundir "$dir" --secretsfile "$dir/ipsec.secrets" \
		--logfile "$dir/pluto.log" --shards $shards --nhelpers 0 "${@:2}" >"$dir/output" 2>&1 &
	echo $! >"$dir/process"
	disown
}

await_pluto() { # NAMESPACE
	until_true 180 "$whack" --rundir "$work/$1" --briefstatus || {
		cat "$work/$1/output"
		fail "pluto in $1 does not serve whack"
	}
	whack_in "$1" --listen >/dev/null
}

whack_in() { # NAMESPACE ARGUMENT...
	"$whack" --rundir "$work/$1" "${@:2}"
}

stop_pluto() { # NAMESPACE [SIGNAL]
	local process
	process=$(cat "$work/$1/process") || return 0
	end_process "$process" "${2-TERM}"
	rm -f "$work/$1/process"
}

# On the left is always a pluto. Its peer is one too, or of another make: then start_MAKE, stop_MAKE and clear_MAKE are
# functions of that make's file, and its files are in $work/MAKE.
others='swan libreswan'

runs() { # NAMESPACE|MAKE
	[ -e "$work/$1/process" ] && [ -e "/proc/$(cat "$work/$1/process")" ]
}

# On the kernel interface that a test asks for (interface=pfkeyv2), else on XFRM.
need_peer() { # pluto|MAKE
	local other
	[ "$(cat "$work/interface" 2>/dev/null)" = "${interface=xfrm}" ] || stop_gateways
	echo "$interface" >"$work/interface"
	ip netns list | grep -q '^left\b' || make_namespaces
	for other in $others; do
		[ "$other" = "$1" ] || ! runs "$other" || "stop_$other"
	done
	[ "$1" = pluto ] || ! runs right || stop_pluto right
	# Side by side: each tries first what its kernel can do.
	local begun=()
	runs left || begun+=(left)
	runs right || [ "$1" != pluto ] || begun+=(right)
	for other in "${begun[@]}"; do launch_pluto "$other"; done
	for other in "${begun[@]}"; do await_pluto "$other"; done
	[ "$1" = pluto ] || runs "$1" || "start_$1"
}

need_gateways() {
	need_peer pluto
}

stop_gateways() {
	local who
	for who in left right; do
		! runs $who || stop_pluto $who
	done
	for who in $others; do
		! runs "$who" || "stop_$who"
	done
}

# end_process PID [SIGNAL]: and waits for it
end_process() {
	kill "-${2-TERM}" "$1" 2>/dev/null || true
	until_true 20 test ! -e "/proc/$1" || kill -KILL "$1" || true
}

# Connections go, and with them SAs and policies; the logs are the next test's.
after_test() {
	local who
	for who in left right; do
		runs $who || continue
		whack_in $who --name t --delete >/dev/null 2>&1
		: >"$work/$who/pluto.log"
	done
	for who in $others; do
		! runs "$who" || "clear_$who" >/dev/null 2>&1
	done
	for who in "$work"/*/wire.process; do
		[ ! -e "$who" ] || end_process "$(cat "$who")"
		rm -f "$who"
	done
}

keep_logs() { # TEST
	mkdir -p "$PLUTONIUM_LOGS/$1"
	cp "$work/$1/output" "$PLUTONIUM_LOGS/$1/"
	local side
	for side in left right; do
		cp "$work/$side/pluto.log" "$PLUTONIUM_LOGS/$1/$side.log" 2>/dev/null
		ip -n $side -s xfrm state >"$PLUTONIUM_LOGS/$1/$side.state" 2>/dev/null
		ip -n $side xfrm policy >"$PLUTONIUM_LOGS/$1/$side.policy" 2>/dev/null
	done
	for side in $others; do
		cp "$work/$side/pluto.log" "$PLUTONIUM_LOGS/$1/$side.log" 2>/dev/null
	done
	return 0
}

# Ends of connections: for `describe` and `connect`
left=192.0.2.1,10.1.0.0/24 right=192.0.2.2,10.2.0.0/24
left6=2001:db8::1,fd00:1::/64 right6=2001:db8::2,fd00:2::/64

# connect LEFT RIGHT [WHACK-OPTION]...: an end is HOST[,CLIENT]; the connection is "t" on both, up when it returns.
describe() { # NAMESPACE LEFT RIGHT [WHACK-OPTION]...
	local l=$2 r=$3 ends=() protocol=--encrypt
	[[ " ${*:4} " != *' --authenticate '* ]] || protocol=
	ends=(--id @left --host "${l%%,*}")
	[ "${l#*,}" = "$l" ] || ends+=(--client "${l#*,}")
	ends+=(--to --id @right --host "${r%%,*}")
	[ "${r#*,}" = "$r" ] || ends+=(--client "${r#*,}")

	whack_in "$1" --name t "${ends[@]}" --psk ${protocol:+"$protocol"} "${@:4}"
}

connect() {
	need_gateways
	describe left "$@"
	describe right "$@"
	whack_in left --name t --initiate | tail -n 3
	established left
	established right
}

established() { # NAMESPACE
	until_true 30 has_sas "$1" 2 || {
		tail -n 20 "$work/$1/pluto.log"
		fail "no SAs in $1"
	}
}

# ---- what the kernel says ----------------------------------------------------------

sas() { # NAMESPACE: of ESP and AH, without the larval ones that the kernel keeps a while where an SA was missed
	ip -n "$1" xfrm state | grep -cE '^\s+proto (esp|ah) spi 0x0*[1-9a-f]' || true
}

has_sas() { # NAMESPACE COUNT
	[ "$(sas "$1")" = "$2" ]
}

both_empty() {
	until_true 30 has_sas left 0 || fail "SAs in left: $(ip -n left xfrm state)"
	until_true 30 has_sas right 0 || fail "SAs in right: $(ip -n right xfrm state)"
}

# The packets of each SA from SOURCE, summed
esp_packets() { # NAMESPACE SOURCE
	ip -n "$1" -s xfrm state | awk -v source="$2" '
		/^src/ { ours = $2 == source }
		ours && /\(packets\)/ && /\(bytes\)/ && !/limit/ { gsub(/\(packets\)/, "", $2); sum += $2 }
		END { print sum + 0 }'
}

ping_from() { # NAMESPACE TARGET [SOURCE]
	local out source=()
	[ -z "${3-}" ] || source=(-I "$3")
	out=$(ip netns exec "$1" ping -n -q -c 5 -i 0.05 -W 3 "${source[@]}" "$2" 2>&1) || {
		echo "$out"
		fail "no answer from $2 in $1"
	}
}

no_ping_from() { # NAMESPACE TARGET
	! ip netns exec "$1" ping -n -q -c 2 -i 0.2 -W 1 "$2" >/dev/null 2>&1 || fail "$2 answers in $1"
}

# Five pings of the inner net, five ESP packets each way on both sides, and whack's counters know of them.
check_traffic() { # TARGET LEFT-OUTER RIGHT-OUTER [SOURCE]
	local side source before after=()
	for side in left right; do
		for source in "$2" "$3"; do
			before+=" $(esp_packets $side "$source")"
		done
	done
	ping_from left "$1" "${4-}"
	for side in left right; do
		for source in "$2" "$3"; do
			after+=("$(esp_packets $side "$source")")
		done
	done
	local i=0
	for before in $before; do
		[ $((after[i] - before)) -ge 5 ] || fail "SA $i carried $((after[i] - before)) packets, not 5"
		i=$((i + 1))
	done
	whack_in left --trafficstatus | grep -E 'inBytes=[1-9][0-9]*, outBytes=[1-9]' ||
		fail "no traffic in: $(whack_in left --trafficstatus)"
}

log_has() { # NAMESPACE PATTERN
	grep -qE "$2" "$work/$1/pluto.log"
}

# ---- the wire ------------------------------------------------------------------------

# What leaves: a device shows what came out of an SA as if it had come in.
start_capture() { # NAMESPACE... with a device "wan"
	local side
	mkdir -p "${@/#/$work/}"
	for side in "$@"; do
		ip netns exec "$side" tcpdump -n -i wan -Q out --immediate-mode -s 96 -w "$work/$side/wire.pcap" \
			2>"$work/$side/wire.said" &
		echo $! >"$work/$side/wire.process"
	done
	for side in "$@"; do
		until_true 20 grep -q 'listening on' "$work/$side/wire.said"
	done
}

# Prints what was neither ESP, IKE, ESP in UDP nor finding neighbours. FILTER: nor that.
clear_packets() { # [FILTER]
	local process side
	sleep 0.2
	for side in "$work"/*/wire.process; do
		process=$(cat "$side")
		rm "$side"
		kill -INT "$process"
		until_true 10 test ! -e "/proc/$process"
		tcpdump -n -r "${side%.process}.pcap" "${1:+not ($1) and }"'not esp and not arp and not udp port 500 and not udp port 4500 and
			not (ip6 and (ip6[6] == 50 or ip6[6] == 0 or
			(ip6[6] == 58 and ip6[40] >= 133 and ip6[40] <= 143)))' 2>/dev/null
	done
}

no_clear_packets() { # [FILTER]
	local clear
	clear=$(clear_packets "$@")
	[ -z "$clear" ] || fail "in clear: $clear"
}
