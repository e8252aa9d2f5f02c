# shellcheck shell=bash
# Child SAs and the IKE SA are rekeyed by each end under a ping every 10 ms and a TCP stream: nothing is lost.
. ./strongswan.sh
. ./traffic.sh

by_pluto() { # NAMESPACE child|ike
	whack_in "$1" --name t "--rekey-$2"
}

by_swan() { # child|ike
	if [ "$1" = child ]; then
		swanctl_in --rekey --child net4
	else
		swanctl_in --rekey --ike v4
	fi
}

# Each kind by each end: whoever made what there is.
rekeyed_under_traffic() { # COMMAND-OF-ONE COMMAND-OF-THE-OTHER
	local end
	start_traffic 10.2.0.1
	trap stop_traffic EXIT
	for end in "$@"; do
		# shellcheck disable=SC2086
		replaces_child $end child
		# shellcheck disable=SC2086
		replaces_ike $end ike
	done
	end_traffic
	trap - EXIT
}

test_rekey() {
	need_gateways
	start_capture left right
	connect $left $right --tunnel
	rekeyed_under_traffic 'by_pluto left' 'by_pluto right'
	no_clear_packets
}

test_rekey_without_pfs() {
	connect $left $right --tunnel --pfs=no
	rekeyed_under_traffic 'by_pluto right' 'by_pluto left'
}

test_swan_rekey() {
	need_swan
	start_capture left right
	describe left $left $right --tunnel --ike aes_gcm128-sha2_256-dh31 --esp aes_gcm128
	whack_in left --name t --initiate
	established right
	rekeyed_under_traffic 'by_pluto left' by_swan
	whack_in left --name t --terminate
	both_empty
	initiate_swan net4
	established left
	rekeyed_under_traffic by_swan 'by_pluto left'
	no_clear_packets
}
