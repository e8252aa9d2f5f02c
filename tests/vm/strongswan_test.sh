# shellcheck shell=bash
# Packaged strongSwan in place of the pluto on the right: both sides on the kernel's ESP.

swan=$work/swan

start_swan() {
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
	export STRONGSWAN_CONF=$swan/strongswan.conf SWANCTL_DIR=$swan
	rm -f "$swan/vici"
	ip netns exec right /usr/sbin/charon-systemd >"$swan/output" 2>&1 &
	echo $! >"$swan/process"
	until_true 60 test -S "$swan/vici" || fail "strongSwan does not start: $(cat "$swan/output" "$swan/log")"
}

load_swan() { # MODE LEFT-TS RIGHT-TS
	cat >"$swan/swanctl.conf" <<-END
		connections { t {
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
				esp_proposals = aes128gcm16-esn,aes128gcm16 } } } }
		secrets { ike-1 { secret = "a key that only tests use" } }
	END
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

with_swan() { # INITIATOR MODE LEFT-CLIENT RIGHT-CLIENT TARGET
	echo "== $1 initiates, $2"
	load_swan "$2" "${3:-dynamic}" "${4:-dynamic}"
	start_capture left right
	describe left "192.0.2.1${3:+,$3}" "192.0.2.2${4:+,$4}" "--$2" --ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128
	if [ "$1" = ours ]; then
		whack_in left --name t --initiate
	else
		swanctl_in --initiate --child c --timeout 20 || fail "$(tail -n 20 "$swan/log" "$work/left/pluto.log")"
	fi
	established left
	check_traffic "$5" 192.0.2.1 192.0.2.2
	no_clear_packets
	whack_in left --name t --delete
	until_true 10 has_sas right 0 || fail "strongSwan keeps: $(ip -n right xfrm state)"
}

test_strongswan() {
	[ -x /usr/sbin/charon-systemd ] || skip "no charon-systemd here"
	need_gateways
	stop_pluto right
	start_swan
	trap stop_swan EXIT
	local initiator
	for initiator in ours swan; do
		with_swan $initiator tunnel 10.1.0.0/24 10.2.0.0/24 10.2.0.1
		with_swan $initiator transport '' '' 192.0.2.2
	done
}
