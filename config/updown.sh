#!/bin/sh
# The updown script for those who name one: leftupdown="ipsec _updown". It does what pluto does by itself
# where no script is named (routes to the peer's client where they are needed, the source address), and,
# with --chain, lets the tunnel's packets pass a packet filter:
#
#     ipsec _updown [--route yes|no] [--chain FAMILY/TABLE/CHAIN]
#
# Copy it and make it yours. What pluto tells is in the environment (PLUTO_*); a peer has chosen some of
# it, so that every use of a variable stands in double quotes.

# Whatever bears this protocol number is ours, and goes when pluto starts the next time.
PROTOCOL=80
# Which source addresses were added by this script.
STATE=${IPSEC_UPDOWN_STATE:-/run/pluto/updown}

say() {
	echo "$*" >&2
}

fail() {
	say "$*"
	exit 1
}

route=yes
chain=
while [ $# -gt 0 ]; do
	case $1 in
	--route)
		[ $# -ge 2 ] || fail "--route needs yes or no"
		case $2 in
		y | yes) route=yes ;;
		n | no) route=no ;;
		*) fail "--route needs yes or no, not $2" ;;
		esac
		shift
		;;
	--chain)
		[ $# -ge 2 ] || fail "--chain needs FAMILY/TABLE/CHAIN"
		chain=$2
		shift
		;;
	*) fail "unknown argument $1" ;;
	esac
	shift
done

case $PLUTO_VERB in
*-v6) family=-6 bits=128 ;;
*) family=-4 bits=32 ;;
esac

ipf() {
	ip "$family" "$@"
}

# ---- where packets go ----------------------------------------------------------------

# The word behind another in the answer of "ip route get".
word_behind() {
	wanted=$1
	shift
	while [ $# -gt 1 ]; do
		if [ "$1" = "$wanted" ]; then
			echo "$2"
			return
		fi
		shift
	done
}

# One address inside the subnet: not its own name, which may be a broadcast address.
inside() {
	case $PLUTO_PEER_CLIENT in
	*/31 | */32 | */127 | */128) echo "$PLUTO_PEER_CLIENT_NET" ;;
	*::/*) echo "${PLUTO_PEER_CLIENT_NET}1" ;;
	*:*) echo "$PLUTO_PEER_CLIENT_NET" ;;
	*) echo "${PLUTO_PEER_CLIENT_NET%.*}.$((${PLUTO_PEER_CLIENT_NET##*.} | 1))" ;;
	esac
}

device_of() {
	# Words are what is wanted.
	# shellcheck disable=SC2046
	word_behind dev $(ip -o route get "$1" 2>/dev/null)
}

is_local() {
	case $(ip -o route get "$1" 2>/dev/null) in
	local\ *) return 0 ;;
	*) return 1 ;;
	esac
}

needed() {
	[ -n "$PLUTO_MY_SOURCEIP$PLUTO_METRIC$PLUTO_MTU" ] && return 0
	[ "$PLUTO_PEER_CLIENT" = "$PLUTO_PEER/$bits" ] && return 1
	there=$(inside)
	is_local "$there" && return 1
	[ "$(device_of "$there")" != "$PLUTO_INTERFACE" ]
}

# Everything becomes two halves, beside the default route.
destinations() {
	case $PLUTO_PEER_CLIENT in
	0.0.0.0/0) echo 0.0.0.0/1 128.0.0.0/1 ;;
	::/0) echo ::/1 8000::/1 ;;
	*/*) echo "$PLUTO_PEER_CLIENT" ;;
	*) ;; # a range that is no subnet
	esac
}

# ---- routes ---------------------------------------------------------------------------

add_source() {
	[ -n "$PLUTO_MY_SOURCEIP" ] || return 0
	is_local "$PLUTO_MY_SOURCEIP" && return 0
	case $PLUTO_MY_SOURCEIP in
	*:*) ip -6 addr add "$PLUTO_MY_SOURCEIP/128" dev "$PLUTO_INTERFACE" nodad ;;
	*) ip -4 addr add "$PLUTO_MY_SOURCEIP/32" dev "$PLUTO_INTERFACE" ;;
	esac || fail "cannot add the source address $PLUTO_MY_SOURCEIP"
	mkdir -p "$STATE" && echo "$PLUTO_INTERFACE" >"$STATE/$PLUTO_MY_SOURCEIP"
}

# Ours, and no other route of ours names it.
remove_source() {
	[ -n "$PLUTO_MY_SOURCEIP" ] || return 0
	[ -z "$(ip route show proto "$PROTOCOL" src "$PLUTO_MY_SOURCEIP" 2>/dev/null)" ] || return 0
	[ -f "$STATE/$PLUTO_MY_SOURCEIP" ] || return 0
	read -r device <"$STATE/$PLUTO_MY_SOURCEIP"
	rm -f "$STATE/$PLUTO_MY_SOURCEIP"
	case $PLUTO_MY_SOURCEIP in
	*:*) ip -6 addr del "$PLUTO_MY_SOURCEIP/128" dev "$device" ;;
	*) ip -4 addr del "$PLUTO_MY_SOURCEIP/32" dev "$device" ;;
	esac || say "the source address $PLUTO_MY_SOURCEIP cannot be removed"
}

source_fits() {
	case $family$PLUTO_MY_SOURCEIP in
	-6*:*) return 0 ;;
	-4*:* | -?) return 1 ;;
	-4*) return 0 ;;
	*) return 1 ;;
	esac
}

one_route() {
	verb=$1
	net=$2
	set -- "$net" dev "$PLUTO_INTERFACE" proto "$PROTOCOL"
	[ "$PLUTO_NEXT_HOP" = "$PLUTO_PEER" ] || set -- "$@" via "$PLUTO_NEXT_HOP"
	if source_fits; then set -- "$@" src "$PLUTO_MY_SOURCEIP"; fi
	[ -z "$PLUTO_METRIC" ] || set -- "$@" metric "$PLUTO_METRIC"
	[ -z "$PLUTO_MTU" ] || [ "$verb" = del ] || set -- "$@" mtu "$PLUTO_MTU"
	ipf route "$verb" "$@"
}

add_routes() {
	needed || return 0
	add_source
	for net in $(destinations); do
		verb=add
		[ -z "$(ipf route show exact "$net" proto "$PROTOCOL")" ] || verb=replace
		if [ "$verb" = add ] && [ -n "$(ipf route show exact "$net")" ]; then
			say "there is a route to $net that is not ours: it stays as it is"
			continue
		fi
		one_route "$verb" "$net" || fail "cannot route $net"
	done
}

remove_routes() {
	for net in $(destinations); do
		[ -z "$(ipf route show exact "$net" proto "$PROTOCOL")" ] || one_route del "$net" ||
			ipf route del "$net" proto "$PROTOCOL"
	done
	remove_source
}

# ---- the packet filter -----------------------------------------------------------------

comment() {
	echo "plutonium $PLUTO_CONNECTION $PLUTO_SA_REQID"
}

# Sets nft_family, nft_table and nft_chain.
split_chain() {
	nft_family=${chain%%/*}
	nft_chain=${chain##*/}
	nft_table=${chain#*/}
	nft_table=${nft_table%/*}
}

add_rules() {
	[ -n "$chain" ] || return 0
	split_chain
	case $family in -6) net=ip6 ;; *) net=ip ;; esac
	nft insert rule "$nft_family" "$nft_table" "$nft_chain" meta secpath exists \
		"$net" saddr "$PLUTO_PEER_CLIENT" "$net" daddr "$PLUTO_MY_CLIENT" \
		accept comment "\"$(comment)\"" || fail "nft: cannot add a rule to $chain"
}

remove_rules() {
	[ -n "$chain" ] || return 0
	split_chain
	nft -a list chain "$nft_family" "$nft_table" "$nft_chain" |
		grep -F "comment \"$(comment)\"" | sed -n 's/.*# handle \([0-9]*\)$/\1/p' |
		while read -r handle; do
			nft delete rule "$nft_family" "$nft_table" "$nft_chain" handle "$handle"
		done
}

case $PLUTO_VERB in
prepare-*) ;;
route-*) if [ "$route" = yes ] && [ "$PLUTO_CONNECTION_TYPE" = tunnel ]; then add_routes; fi ;;
unroute-*) if [ "$route" = yes ] && [ "$PLUTO_CONNECTION_TYPE" = tunnel ]; then remove_routes; fi ;;
up-*) add_rules ;;
down-*) remove_rules ;;
*) fail "unknown verb '$PLUTO_VERB'" ;;
esac
