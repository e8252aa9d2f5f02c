# shellcheck shell=bash
# Packaged strongSwan in place of the pluto on the right: both sides on the kernel's ESP.

swan=$work/swan

start_swan() { # LEFT RIGHT MODE LEFT-TS RIGHT-TS
	[ -x /usr/sbin/charon-systemd ] || skip "no charon-systemd here"
	mkdir -p "$swan"
	cat >"$swan/strongswan.conf" <<-END
		charon-systemd {
			load_modular = no
			load = random nonce openssl curve25519 hmac kdf aes sha1 sha2 gcm ctr chapoly kernel-netlink socket-default vici updown
			install_routes = no
			filelog { f { path = $swan/log
				flush_line = yes
				default = 1 } }
			plugins { vici { socket = unix://$swan/vici } }
		}
	END
	cat >"$swan/swanctl.conf" <<-END
		connections { t {
			version = 2
			local_addrs = $2
			remote_addrs = $1
			proposals = aes128gcm16-prfsha256-x25519
			local { auth = psk
				id = right }
			remote { auth = psk
				id = left }
			children { c {
				mode = $3
				local_ts = $5
				remote_ts = $4
				esp_proposals = aes128gcm16-esn,aes128gcm16 } } } }
		secrets { ike-1 { secret = "a key that only tests use" } }
	END
	export STRONGSWAN_CONF=$swan/strongswan.conf SWANCTL_DIR=$swan
	rm -f "$swan/vici"
	ip netns exec right /usr/sbin/charon-systemd >"$swan/output" 2>&1 &
	echo $! >"$swan/process"
	until_true 60 test -S "$swan/vici" || fail "strongSwan does not start: $(cat "$swan/output" "$swan/log")"
	swanctl_in --load-all --noprompt
}

swanctl_in() {
	ip netns exec right swanctl "$@" --uri "unix://$swan/vici"
}

stop_swan() {
	local process
	process=$(cat "$swan/process")
	kill "$process" || true
	until_true 20 test ! -e "/proc/$process" || kill -KILL "$process"
}

with_swan() { # INITIATOR MODE LEFT RIGHT LEFT-CLIENT RIGHT-CLIENT TARGET
	need_gateways
	stop_pluto right
	start_swan "$3" "$4" "$2" "${5:-dynamic}" "${6:-dynamic}"
	trap stop_swan EXIT
	start_capture left right
	describe left "$3${5:+,$5}" "$4${6:+,$6}" "--$2" --ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128
	if [ "$1" = ours ]; then
		whack_in left --name t --initiate
	else
		swanctl_in --initiate --child c --timeout 20 || fail "$(tail -n 20 "$swan/log" "$work/left/pluto.log")"
	fi
	established left
	check_traffic "$7" "$3" "$4"
	no_clear_packets
	whack_in left --name t --delete
	until_true 10 has_sas right 0 || fail "strongSwan keeps: $(ip -n right xfrm state)"
}

tunnel_with_swan() {
	with_swan "$1" tunnel 192.0.2.1 192.0.2.2 10.1.0.0/24 10.2.0.0/24 10.2.0.1
}

test_strongswan_tunnel_initiator() { tunnel_with_swan ours; }
test_strongswan_tunnel_responder() { tunnel_with_swan swan; }
test_strongswan_transport_initiator() { with_swan ours transport 192.0.2.1 192.0.2.2 '' '' 192.0.2.2; }
test_strongswan_transport_responder() { with_swan swan transport 192.0.2.1 192.0.2.2 '' '' 192.0.2.2; }
