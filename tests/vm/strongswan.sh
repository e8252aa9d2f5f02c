# shellcheck shell=bash
# Packaged strongSwan in place of the pluto on the right. Its connections are all loaded at once; which one a test means
# is told by addresses, and what is negotiated is chosen by our end.

swan=$work/swan

start_swan() {
	mkdir -p "$swan"
	cat >"$swan/strongswan.conf" <<-END
		charon-systemd {
			load_modular = no
			load = random nonce openssl curve25519 hmac kdf aes sha1 sha2 gcm ctr chapoly kernel-netlink socket-default vici updown
			install_routes = no
			filelog { f { path = $swan/pluto.log
				flush_line = yes
				default = 1 } }
			journal { default = -1 }
			plugins { vici { socket = unix://$swan/vici } }
		}
	END
	write_swan_connections
	export STRONGSWAN_CONF=$swan/strongswan.conf SWANCTL_DIR=$swan
	rm -f "$swan/vici"
	ip netns exec right /usr/sbin/charon-systemd >"$swan/output" 2>&1 &
	echo $! >"$swan/process"
	disown
	until_true 60 test -S "$swan/vici" || fail "strongSwan does not start: $(cat "$swan/output" "$swan/pluto.log")"
	swanctl_in --load-all --noprompt
}

# swan_connection NAME LOCAL REMOTE CHILD...: a child is NAME,MODE,LEFT-TS,RIGHT-TS
swan_connection() {
	local child name mode theirs ours
	cat <<-END
		$1 {
			version = 2
			local_addrs = $2
			remote_addrs = $3
			proposals = aes128gcm16-prfsha256-x25519
			local { auth = psk
				id = right }
			remote { auth = psk
				id = left }
			children {
	END
	for child in "${@:4}"; do
		IFS=, read -r name mode theirs ours <<<"$child"
		cat <<-END
			$name { mode = $mode
				local_ts = ${ours:-dynamic}
				remote_ts = ${theirs:-dynamic}
				esp_proposals = $swan_esp }
		END
	done
	echo "} }"
}

# With PFS in what is rekeyed
swan_esp=aes128gcm16-x25519-esn-noesn,aes256gcm16-x25519-esn-noesn,aes256-sha256-x25519-esn-noesn,chacha20poly1305-x25519-esn-noesn

write_swan_connections() {
	{
		echo "connections {"
		swan_connection v4 192.0.2.2 192.0.2.1 net4,tunnel,10.1.0.0/24,10.2.0.0/24 \
			net6in4,tunnel,fd00:1::/64,fd00:2::/64 host4,transport
		swan_connection v6 2001:db8::2 2001:db8::1 net6,tunnel,fd00:1::/64,fd00:2::/64 \
			net4in6,tunnel,10.1.0.0/24,10.2.0.0/24 host6,transport
		# Where nobody knows the peer's address: on the road, and behind a NAT
		swan_connection road 192.0.2.2 %any roadnet,tunnel,10.1.0.0/24,10.2.0.0/24
		swan_connection roading 192.0.2.12 192.0.2.1 roadingnet,tunnel,10.1.0.0/24,10.2.0.0/24
		swan_connection pub 203.0.113.2 203.0.113.1 pubnet,tunnel,10.1.0.0/24,10.2.0.0/24
		swan_connection inside 10.9.0.2 203.0.113.2 insidenet,tunnel,10.1.0.0/24,10.2.0.0/24
		echo '} secrets { ike-1 { secret = "a key that only tests use" } }'
	} >"$swan/swanctl.conf"
}

swanctl_in() {
	STRONGSWAN_CONF=$swan/strongswan.conf SWANCTL_DIR=$swan ip netns exec right \
		swanctl "$@" --uri "unix://$swan/vici"
}

stop_swan() {
	end_process "$(cat "$swan/process")"
	rm -f "$swan/process"
}

clear_swan() {
	local connection
	# Ours have told it; what is left is left of a test that failed.
	for connection in $(ip netns exec right ip xfrm state | grep -q . && swanctl_in --list-sas --raw |
		grep -oE '(v4|v6|road|roading|pub|inside) \{uniqueid' | cut -d' ' -f1); do
		swanctl_in --terminate --ike "$connection" --force --timeout 2
	done
	: >"$swan/pluto.log"
}

need_swan() {
	[ -x /usr/sbin/charon-systemd ] || skip "no charon-systemd here"
	need_peer swan
}

initiate_swan() { # CHILD
	swanctl_in --initiate --child "$1" --timeout 20 >"$work/swanctl" 2>&1 ||
		fail "$(cat "$work/swanctl"; tail -n 20 "$swan/pluto.log" "$work/left/pluto.log")"
}
