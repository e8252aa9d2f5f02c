# shellcheck shell=bash
# Packaged libreswan in place of the pluto on the right: both sides on the kernel's ESP, both initiate, rekey and delete.
. ./libreswan.sh
. ./traffic.sh

libreswan_algorithms=(--ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128)

# by END COMMAND: on the connection, by ours or by libreswan
by() { # ours|NAME COMMAND
	if [ "$1" = ours ]; then
		whack_in left --name t "--$2"
	else
		libreswan_whack --name "$1" "--${2/child/ipsec}"
	fi
}

libreswan_initiates() { # NAME
	by "$1" initiate >"$work/output" || fail "$(cat "$work/output"; tail -n 20 "$work/left/pluto.log")"
}

# with_libreswan NAME TARGET: "t" is described; initiated by each end, deleted by the other
with_libreswan() {
	start_capture left right
	echo "== ours initiates"
	by ours initiate
	established right
	check_traffic "$2" 192.0.2.1 192.0.2.2
	by ours terminate
	both_empty
	echo "== libreswan initiates"
	libreswan_initiates "$1"
	established left
	check_traffic "$2" 192.0.2.1 192.0.2.2
	by "$1" terminate
	both_empty
	no_clear_packets
}

test_libreswan_tunnel() {
	need_libreswan net
	describe left $left $right --tunnel "${libreswan_algorithms[@]}"
	with_libreswan net 10.2.0.1
}

test_libreswan_transport() {
	need_libreswan host
	describe left 192.0.2.1 192.0.2.2 --transport "${libreswan_algorithms[@]}"
	with_libreswan host 192.0.2.2
}

test_libreswan_cbc() {
	need_libreswan net
	describe left $left $right --tunnel --ike aes_gcm128-sha2_256-dh31 --esp aes256-sha2_256
	with_libreswan net 10.2.0.1
}

# By ECDSA, in certificates of one authority
test_libreswan_certificates() {
	need_libreswan cert
	with_certificates
	whack_in left --name t --id @left.cert --host 192.0.2.1 --client 10.1.0.0/24 --cert left \
		--to --id @right.cert --host 192.0.2.2 --client 10.2.0.0/24 --ecdsa --encrypt --tunnel "${libreswan_algorithms[@]}"
	with_libreswan cert 10.2.0.1
	log_has left 'ECDSA' || fail "not by ECDSA: $(cat "$work/left/pluto.log")"
}

with_certificates() {
	[ ! -e "$work/left/nss" ] || return 0
	cp -r "$PLUTONIUM_CERTIFICATES" "$work/left/nss"
	stop_pluto left
	start_pluto left
}

# All SAs are rekeyed by each end, whoever initiated. When it responds, libreswan sends by the new Child SA as soon as it
# has answered, which is before the initiator can have its keys: those packets are lost, and only they.
rekeyed_by_both() {
	start_traffic 10.2.0.1
	trap stop_traffic EXIT
	local end
	for end in ours net; do
		replaces_child by "$end" rekey-child
		replaces_ike by "$end" rekey-ike
	done
	end_lossy_traffic
	trap - EXIT
	[ "$(dropped right)" = "$(cat "$traffic/right")" ] || fail "dropped in right: $(dropped right)"
	[ "$(dropped left | sed "$forgiven")" = "$(sed "$forgiven" "$traffic/left")" ] || fail "dropped in left: $(dropped left)"
}
# It sends by a new SA before we can have it. And a packet of ours that is at work on another CPU when its SA goes is dropped.
forgiven='s/ *XfrmInNoStates=[0-9]*//; s/ *XfrmOutStateInvalid=[1-4]//'

test_libreswan_rekey() {
	need_libreswan net
	describe left $left $right --tunnel "${libreswan_algorithms[@]}"
	start_capture left right
	by ours initiate
	established right
	rekeyed_by_both
	by net terminate
	by ours terminate
	both_empty
	libreswan_initiates net
	established left
	rekeyed_by_both
	by net terminate # it would begin anew what another ends
	both_empty
	no_clear_packets
}

test_libreswan_nat() {
	need_libreswan nat
	make_nat left right
	trap remove_nat EXIT
	libreswan_whack --listen
	describe left 10.9.0.2,10.1.0.0/24 203.0.113.2,10.2.0.0/24 --tunnel "${libreswan_algorithms[@]}"
	by ours initiate
	established right
	encapsulated right '20[0-9]{3}' || fail "not through the NAT: $(ip -n right xfrm state)"
	check_nat_traffic left 10.2.0.1 203.0.113.2
}
