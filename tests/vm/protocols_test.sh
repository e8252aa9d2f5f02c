# shellcheck shell=bash
# What SAs can be beyond plain ESP: AH, IPComp, padding for traffic flow confidentiality, BEET mode, transport mode
# behind a NAT, and every algorithm.
. ./nat.sh
. ./strongswan.sh

pair_case() {
	"$PLUTONIUM_BUILD/tests/vm/xfrm_pair_test" "$1"
}

test_pair_esp() { pair_case esp; }
test_pair_ah() { pair_case ah; }
test_pair_ipcomp() { pair_case ipcomp; }
test_pair_ipcomp_refused() { pair_case ipcomp_refused; }
test_pair_ipcomp_moved() { pair_case ipcomp_moved; }
test_pair_tfc() { pair_case tfc; }
test_pair_beet() { pair_case beet; }

sas_of() { # NAMESPACE PROTOCOL: how many
	ip -n "$1" xfrm state | grep -cE "^\s+proto $2 spi 0x0*[1-9a-f]" || true
}

has_sas_of() { # NAMESPACE PROTOCOL COUNT
	[ "$(sas_of "$1" "$2")" = "$3" ]
}

has_status() { # NAMESPACE OPTION PATTERN
	whack_in "$1" "$2" | grep -qE -- "$3" || fail "$2 does not say $3: $(whack_in "$1" "$2")"
}

delete_both() {
	whack_in left --name t --delete
	whack_in right --name t --delete
}

# ---- AH ------------------------------------------------------------------------------

test_ah() {
	need_gateways
	start_capture left right
	connect 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --authenticate
	local side
	for side in left right; do
		has_sas_of $side ah 2 || fail "no AH: $(ip -n $side xfrm state)"
		has_sas_of $side esp 0 || fail "ESP: $(ip -n $side xfrm state)"
		ip -n $side xfrm state | grep -q 'flag.*esn' || fail "no ESN: $(ip -n $side xfrm state)"
		log_has $side '\{AH/ESN=>0x[0-9a-f]+ <0x[0-9a-f]+ xfrm=HMAC_SHA2_512_256 DPD=passive\}'
	done
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	ping_from right 10.1.0.1
	no_clear_packets ah
	has_status left --trafficstatus '"t", type=AH, add_time=[1-9]'
	has_status left --showstates ' ah\.[0-9a-f]+@192.0.2.2 ah\.[0-9a-f]+@192.0.2.1 tun.0@.* Traffic: AHin=[1-9]'
	has_status left --connectionstatus 'policy: IKEv2\+PSK\+AUTHENTICATE\+TUNNEL'
	has_status left --globalstatus '^total.ipsec.type.ah=1$'
	# The other one asks.
	delete_both
	describe left 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --authenticate --ah sha2_256
	describe right 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --authenticate --esn=no
	whack_in right --name t --initiate | tail -n 3
	established left
	ip -n left xfrm state | grep -q 'hmac(sha256)' || fail "$(ip -n left xfrm state)"
	! ip -n left xfrm state | grep -q 'flag.*esn' || fail "ESN: $(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	has_status left --connectionstatus 'AH algorithms: HMAC_SHA2_256_128'
	has_status left --connectionstatus 'AH algorithm newest: HMAC_SHA2_256_128'
}

test_ah_transport() {
	need_gateways
	local integ
	for integ in md5 sha1 sha2_256 sha2_384 sha2_512 aes_xcbc aes_cmac; do
		connect 192.0.2.1 192.0.2.2 --transport --authenticate --ah $integ
		check_traffic 192.0.2.2 192.0.2.1 192.0.2.2
		delete_both
	done
	connect 2001:db8::1 2001:db8::2 --ipv6 --transport --authenticate
	check_traffic 2001:db8::2 2001:db8::1 2001:db8::2
}

test_ah_rekey() {
	connect 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --authenticate --ipsec-max-bytes 20000
	in_ns left ping -n -q -c 30 -i 0.02 -s 1000 10.2.0.1 >"$work/ping"
	grep -q ' 0% packet loss' "$work/ping" || fail "lost while rekeying: $(cat "$work/ping")"
	until_true 60 log_has left 'initiator rekeyed Child SA' || fail "not rekeyed: $(tail -n 20 "$work/left/pluto.log")"
	until_true 60 has_sas_of left ah 2 || fail "the old SAs stay: $(ip -n left -s xfrm state)"
	# And by the other end.
	whack_in right --name t --rekey-child
	until_true 60 log_has right 'initiator rekeyed Child SA' || fail "$(tail -n 20 "$work/right/pluto.log")"
	until_true 60 has_sas_of right ah 2 || fail "the old SAs stay: $(ip -n right -s xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

# AH protects the addresses that a NAT changes: both ends say so.
test_ah_nat() {
	need_gateways
	make_nat left right
	trap remove_nat EXIT
	describe left 10.9.0.2,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel --authenticate
	describe right 203.0.113.1,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel --authenticate
	! whack_in left --name t --initiate >"$work/said" || fail "it came up: $(cat "$work/said")"
	grep -q 'AH cannot pass the NAT' "$work/said" || fail "$(cat "$work/said")"
	has_sas left 0
}

# ---- IPComp --------------------------------------------------------------------------

has_no_state() { # NAMESPACE: not even the tunnels that IPComp makes for itself
	! ip -n "$1" xfrm state | grep -q '^src'
}

# strongSwan leaves CPIs that came to nothing to the kernel, which forgets them after minutes.
has_only_larval_states() { # NAMESPACE
	! ip -n "$1" xfrm state | grep -E 'proto (esp|ah|comp) ' | grep -v ' reqid 0' | grep -q .
}

compressing() { # NAMESPACE
	has_sas_of "$1" comp 2 || fail "no IPComp: $(ip -n "$1" xfrm state; tail -n 20 "$work/$1/pluto.log")"
}

# What leaves is smaller by far than what is sent; small packets pass too.
check_compression() { # TARGET LEFT-OUTER RIGHT-OUTER
	local before after
	check_traffic "$@"
	before=$(in_ns left cat /sys/class/net/wan/statistics/tx_bytes)
	in_ns left ping -n -q -c 10 -i 0.05 -W 3 -s 1200 -p 41 "$1"
	after=$(in_ns left cat /sys/class/net/wan/statistics/tx_bytes)
	[ $((after - before)) -lt 4000 ] || fail "$((after - before)) bytes for ten packets of 1200"
}

test_compress() {
	need_gateways
	start_capture left right
	connect 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --compress
	compressing left
	compressing right
	log_has left 'IPCOMP=>0x[0-9a-f]+ <0x[0-9a-f]+ DPD=' || fail "$(tail -n 5 "$work/left/pluto.log")"
	check_compression 10.2.0.1 192.0.2.1 192.0.2.2
	ping_from right 10.1.0.1
	no_clear_packets
	has_status left --showstates ' esp\..* comp\.[0-9a-f]+@192.0.2.2 comp\.[0-9a-f]+@192.0.2.1 tun'
	has_status left --connectionstatus 'policy: IKEv2\+PSK\+ENCRYPT\+COMPRESS\+TUNNEL'
	has_status left --globalstatus '^total.ipsec.type.ipcomp=1$'
	# New CPIs with new SAs, whoever asks.
	local cpis
	cpis=$(ip -n left xfrm state | grep 'proto comp')
	whack_in left --name t --rekey-child
	until_true 60 log_has left 'initiator rekeyed Child SA' || fail "$(tail -n 20 "$work/left/pluto.log")"
	until_true 60 has_sas_of left comp 2 || fail "the old ones stay: $(ip -n left xfrm state)"
	[ "$cpis" != "$(ip -n left xfrm state | grep 'proto comp')" ] || fail "the CPIs have stayed"
	check_compression 10.2.0.1 192.0.2.1 192.0.2.2
	whack_in right --name t --rekey-child
	until_true 60 log_has right 'initiator rekeyed Child SA' || fail "$(tail -n 20 "$work/right/pluto.log")"
	until_true 60 has_sas_of right comp 2 || fail "the old ones stay: $(ip -n right xfrm state)"
	until_true 60 has_sas_of left comp 2 || fail "the old ones stay: $(ip -n left xfrm state)"
	check_compression 10.2.0.1 192.0.2.1 192.0.2.2
	delete_both
	until_true 60 has_no_state left || fail "left behind: $(ip -n left xfrm state)"
	until_true 60 has_no_state right || fail "left behind: $(ip -n right xfrm state)"
}

test_compress_modes() {
	connect 192.0.2.1 192.0.2.2 --transport --compress
	compressing left
	check_compression 192.0.2.2 192.0.2.1 192.0.2.2
	delete_both
	connect 192.0.2.1,fd00:1::/64 192.0.2.2,fd00:2::/64 --tunnelipv6 --tunnel --compress --authenticate
	compressing right
	has_sas_of right ah 2
	check_compression fd00:2::1 192.0.2.1 192.0.2.2
	delete_both
	connect 2001:db8::1,fd00:1::/64 2001:db8::2,fd00:2::/64 --ipv6 --tunnel --compress
	compressing left
	check_compression fd00:2::1 2001:db8::1 2001:db8::2
}

# One end does not want it: without.
test_compress_alone() {
	need_gateways
	local who
	for who in left right; do
		describe left 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel "--compress=$([ $who = left ] && echo yes || echo no)"
		describe right 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel "--compress=$([ $who = right ] && echo yes || echo no)"
		whack_in left --name t --initiate | tail -n 3
		established left
		has_sas_of left comp 0 || fail "IPComp: $(ip -n left xfrm state)"
		check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
		delete_both
	done
	log_has left 'the peer does not compress'
}

# ---- traffic flow confidentiality -----------------------------------------------------

packet_size() { # NAMESPACE TARGET: bytes that leave for each of five pings
	local before
	before=$(in_ns "$1" cat /sys/class/net/wan/statistics/tx_bytes)
	in_ns "$1" ping -n -q -c 5 -i 0.05 -W 3 "$2" >/dev/null
	echo $((($(in_ns "$1" cat /sys/class/net/wan/statistics/tx_bytes) - before) / 5))
}

pads() { # NAMESPACE TARGET BYTES
	local size
	size=$(packet_size "$1" "$2")
	[ "$size" -ge "$3" ] && [ "$size" -le $(($3 + 150)) ] || fail "$1 sends $size bytes, not $3"
}

pads_not() { # NAMESPACE TARGET
	local size
	size=$(packet_size "$1" "$2")
	[ "$size" -lt 250 ] || fail "$1 sends $size bytes"
}

test_tfc() {
	need_gateways
	describe left 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --tfc 1000
	describe right 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel
	whack_in left --name t --initiate | tail -n 3
	established left
	pads left 10.2.0.1 1000
	pads_not right 10.1.0.1
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	has_status left --connectionstatus 'sa_tfc:1000;'
	has_status left --globalstatus '^total.ipsec.type.tfc=1$'
	delete_both
	# The peer does not want it.
	describe left 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --tfc 1000
	describe right 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --send-esp-tfc-padding-not-supported
	whack_in left --name t --initiate | tail -n 3
	established left
	pads_not left 10.2.0.1
	has_status right --connectionstatus 'send-no-esp-tfc:yes'
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	whack_in right --name t --rekey-child
	until_true 60 log_has right 'initiator rekeyed Child SA' || fail "$(tail -n 20 "$work/right/pluto.log")"
	pads_not left 10.2.0.1
}

# ---- algorithms, negotiated ------------------------------------------------------------

test_esp_negotiated() {
	need_gateways
	local esp
	for esp in null-sha2_256 aes_ctr128-sha2_256 aes_ctr256-sha1 3des-md5 aes_ccm256 aes_gcm_8_128 aes128-aes_xcbc \
		aes256-aes_cmac aes192-sha2_384; do
		connect 192.0.2.1,10.1.0.0/24 192.0.2.2,10.2.0.0/24 --tunnel --esp $esp
		check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
		[ $esp != null-sha2_256 ] || ip -n left xfrm state | grep -q 'ecb(cipher_null)' || fail "$(ip -n left xfrm state)"
		delete_both
	done
}

# ---- transport mode behind a NAT ---------------------------------------------------------

patient_nat() { # mappings that outlive a slow machine
	in_ns nat sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=120 net.netfilter.nf_conntrack_udp_timeout_stream=120
}

tcp_passes() { # PORT
	in_ns right busybox nc -l -p "$1" >"$work/heard" &
	sleep 0.3
	echo "through the NAT" | in_ns left busybox nc -w 5 203.0.113.2 "$1"
	wait $!
	grep -q 'through the NAT' "$work/heard"
}

check_transport_nat() {
	log_has right 'IPsec transport \[203.0.113.2/32===203.0.113.1/32\]' || fail "$(tail -n 5 "$work/right/pluto.log")"
	log_has left 'IPsec transport \[10.9.0.2/32===203.0.113.2/32\]' || fail "$(tail -n 5 "$work/left/pluto.log")"
	encapsulated right '20[0-9]{3}' || fail "not through the NAT: $(ip -n right xfrm state)"
	local before
	before=$(esp_packets right 203.0.113.1)
	ping_from left 203.0.113.2
	[ $(($(esp_packets right 203.0.113.1) - before)) -ge 5 ] || fail "nothing came: $(ip -n right -s xfrm state)"
	ping_from right 203.0.113.1
	# A checksum knows the addresses of the sender.
	tcp_passes "$1" || fail "TCP does not pass"
}

test_transport_nat() {
	need_gateways
	make_nat left right
	trap remove_nat EXIT
	patient_nat
	describe left 10.9.0.2 203.0.113.2 --transport
	describe right 203.0.113.1 203.0.113.2 --transport
	whack_in left --name t --initiate | tail -n 3
	established right
	check_transport_nat 5001
	whack_in left --name t --rekey-child
	until_true 60 log_has left 'initiator rekeyed Child SA' || fail "not rekeyed: $(tail -n 20 "$work/left/pluto.log")"
	until_true 60 has_sas left 2 || fail "the old SAs stay: $(ip -n left xfrm state)"
	check_transport_nat 5002
	whack_in right --name t --rekey-child
	until_true 60 log_has right 'initiator rekeyed Child SA' || fail "$(tail -n 20 "$work/right/pluto.log")"
	until_true 60 has_sas right 2 || fail "the old SAs stay: $(ip -n right xfrm state)"
	check_transport_nat 5003
}

# ---- against strongSwan --------------------------------------------------------------------

load_swan_child() { # MODE LEFT-TS RIGHT-TS PROPOSALS-AND-MORE
	cat >"$swan/swanctl.conf" <<-END
		connections { v4 {
			version = 2
			local_addrs = 192.0.2.2
			remote_addrs = 192.0.2.1
			proposals = aes128gcm16-prfsha256-x25519
			local { auth = psk
				id = right }
			remote { auth = psk
				id = left }
			children { c {
				mode = $1
				local_ts = $3
				remote_ts = $2
				$4 } } } }
		secrets { ike-1 { secret = "a key that only tests use" } }
	END
	swanctl_in --load-all --noprompt 2>/dev/null
}

swan_as_before() {
	write_swan_connections
	swanctl_in --load-all --noprompt >/dev/null 2>&1
}

swan_tunnel() { # INITIATOR MODE SWAN-LINE WHACK-OPTION...
	local clients=('' '') left=192.0.2.1 right=192.0.2.2 target=192.0.2.2
	echo "== $1 initiates, $*"
	if [ "$2" = tunnel ]; then
		clients=(10.1.0.0/24 10.2.0.0/24)
		left+=,10.1.0.0/24 right+=,10.2.0.0/24 target=10.2.0.1
	fi
	load_swan_child "$2" "${clients[0]:-dynamic}" "${clients[1]:-dynamic}" "$3"
	start_capture left right
	describe left $left $right "--$2" --ike aes_gcm128-sha2_256-dh31 "${@:4}"
	if [ "$1" = ours ]; then
		whack_in left --name t --initiate
	else
		swanctl_in --initiate --child c --timeout 20 || fail "$(tail -n 20 "$swan/pluto.log" "$work/left/pluto.log")"
	fi
	until_true 60 log_has left 'established Child SA using' || fail "$(tail -n 20 "$swan/pluto.log" "$work/left/pluto.log")"
	check_traffic $target 192.0.2.1 192.0.2.2
	no_clear_packets ah
}

swan_tunnel_ends() {
	whack_in left --name t --delete
	until_true 60 has_only_larval_states right || fail "strongSwan keeps: $(ip -n right xfrm state)"
}

# Counters are summed over the SAs there are: the old ones must have gone, which strongSwan keeps for a while.
swan_has_rekeyed() { # ROLE TARGET
	until_true 60 log_has left "$1 rekeyed Child SA" || fail "$(tail -n 20 "$swan/pluto.log" "$work/left/pluto.log")"
	until_true 30 has_sas left 2 && until_true 30 has_sas right 2 || fail "old SAs stay: $(ip -n right xfrm state)"
	check_traffic "$2" 192.0.2.1 192.0.2.2
}

swan_rekeys() { # TARGET: by both
	whack_in left --name t --rekey-child
	swan_has_rekeyed initiator "$1"
	swanctl_in --rekey --child c
	swan_has_rekeyed responder "$1"
}

swan_gcm='esp_proposals = aes128gcm16-x25519-esn-noesn
'

swan_on_the_right() {
	need_swan
	trap swan_as_before EXIT
}

test_strongswan_ah() {
	swan_on_the_right
	local initiator
	for initiator in ours swan; do
		swan_tunnel $initiator tunnel 'ah_proposals = sha256-x25519-esn-noesn' --authenticate --ah sha2_256
		has_sas_of left ah 2 || fail "no AH: $(ip -n left xfrm state)"
		swan_tunnel_ends
		swan_tunnel $initiator transport 'ah_proposals = sha256-x25519-esn-noesn' --authenticate --ah sha2_256
		swan_tunnel_ends
	done
	swan_tunnel ours tunnel 'ah_proposals = sha256-x25519-esn-noesn' --authenticate --ah sha2_256
	swan_rekeys 10.2.0.1
	swan_tunnel_ends
}

test_strongswan_ipcomp() {
	swan_on_the_right
	local initiator
	for initiator in ours swan; do
		swan_tunnel $initiator tunnel "$swan_gcm ipcomp = yes" --esp aes_gcm128 --compress
		compressing left
		compressing right
		check_compression 10.2.0.1 192.0.2.1 192.0.2.2
		swan_tunnel_ends
		swan_tunnel $initiator transport "$swan_gcm ipcomp = yes" --esp aes_gcm128 --compress
		compressing left
		swan_tunnel_ends
	done
	swan_tunnel ours tunnel "$swan_gcm ipcomp = yes" --esp aes_gcm128 --compress
	swan_rekeys 10.2.0.1
	until_true 60 has_sas_of left comp 2 || fail "not two of IPComp: $(ip -n left xfrm state)"
	swan_tunnel_ends
	# One of the two does not compress.
	swan_tunnel ours tunnel "$swan_gcm ipcomp = no" --esp aes_gcm128 --compress
	has_sas_of left comp 0
	swan_tunnel_ends
	swan_tunnel swan transport "$swan_gcm ipcomp = yes" --esp aes_gcm128
	has_sas_of left comp 0
	swan_tunnel_ends
}

test_strongswan_tfc() {
	swan_on_the_right
	local initiator
	for initiator in ours swan; do
		swan_tunnel $initiator tunnel "$swan_gcm tfc_padding = 500" --esp aes_gcm128 --tfc 600
		pads left 10.2.0.1 600
		pads right 10.1.0.1 500
		swan_tunnel_ends
		swan_tunnel $initiator tunnel "$swan_gcm tfc_padding = 500" --esp aes_gcm128 --send-esp-tfc-padding-not-supported
		pads_not right 10.1.0.1
		swan_tunnel_ends
	done
}
