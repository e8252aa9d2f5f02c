# shellcheck shell=bash
# Packaged libreswan in place of the pluto on the right. Its package conflicts with strongSwan's, so vm.sh has unpacked it
# beside the system; it starts its own programs by absolute paths, under which they are mounted here.

libreswan=$work/libreswan

start_libreswan() {
	mkdir -p "$libreswan" /usr/libexec/ipsec
	mountpoint -q /usr/libexec/ipsec || mount --bind "$PLUTONIUM_LIBRESWAN/usr/libexec/ipsec" /usr/libexec/ipsec
	[ -e "$libreswan/nss" ] || cp -r "$PLUTONIUM_CERTIFICATES" "$libreswan/nss"
	printf ': PSK "a key that only tests use"\n' >"$libreswan/ipsec.secrets"
	write_libreswan_connections >"$libreswan/ipsec.conf"
	rm -f "$libreswan/pluto.ctl" "$libreswan/pluto.pid"
	ip netns exec right /usr/libexec/ipsec/pluto --nofork --logfile "$libreswan/pluto.log" \
		--config "$libreswan/ipsec.conf" --rundir "$libreswan" --secretsfile "$libreswan/ipsec.secrets" \
		--nssdir "$libreswan/nss" --ipsecdir "$libreswan" --dumpdir "$libreswan" --no-dnssec --use-xfrm \
		>"$libreswan/output" 2>&1 &
	echo $! >"$libreswan/process"
	disown
	until_true 60 libreswan_whack --status ||
		fail "libreswan does not start: $(cat "$libreswan/output" "$libreswan/pluto.log")"
	libreswan_whack --listen
}

# Only one at a time: for libreswan they would be in each other's way.
load_libreswan() { # NAME
	/usr/libexec/ipsec/addconn --config "$libreswan/ipsec.conf" --ctlsocket "$libreswan/pluto.ctl" "$1"
}

# libreswan_conn NAME LEFT RIGHT ID-SUFFIX LINE...
libreswan_conn() {
	printf 'conn %s\n\tleft=%s\n\tright=%s\n\tleftid=@left%s\n\trightid=@right%s\n' "$1" "$2" "$3" "$4" "$4"
	printf '\tleftupdown=%%disabled\n\trightupdown=%%disabled\n\tikev2=insist\n\tauto=ignore\n'
	printf '\tike=aes_gcm128-sha2_256-dh31\n\tesp=aes_gcm128,aes256-sha2_256\n'
	printf '\t%s\n' "${@:5}"
}

write_libreswan_connections() {
	local nets=(leftsubnet=10.1.0.0/24 rightsubnet=10.2.0.0/24)
	printf 'config setup\n\tuniqueids=yes\n\n'
	libreswan_conn net 192.0.2.1 192.0.2.2 '' authby=secret "${nets[@]}"
	libreswan_conn host 192.0.2.1 192.0.2.2 '' authby=secret type=transport
	libreswan_conn cert 192.0.2.1 192.0.2.2 .cert authby=ecdsa rightcert=right "${nets[@]}"
	libreswan_conn nat 203.0.113.1 203.0.113.2 '' authby=secret "${nets[@]}"
}

libreswan_whack() {
	/usr/libexec/ipsec/whack --ctlsocket "$libreswan/pluto.ctl" "$@"
}

stop_libreswan() {
	end_process "$(cat "$libreswan/process")"
	rm -f "$libreswan/process"
}

clear_libreswan() {
	local connection
	for connection in $(libreswan_whack --status | sed -n 's/.*"\(net\|host\|cert\|nat\)":.*/\1/p' | sort -u); do
		libreswan_whack --name "$connection" --delete
	done
	: >"$libreswan/pluto.log"
}

need_libreswan() { # NAME: of the connection
	[ -x "$PLUTONIUM_LIBRESWAN/usr/libexec/ipsec/pluto" ] || skip "libreswan's package could not be fetched"
	[ -d "$PLUTONIUM_CERTIFICATES" ] || skip "no certutil here"
	need_peer libreswan
	load_libreswan "$1"
}
