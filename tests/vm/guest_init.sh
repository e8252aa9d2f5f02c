#!/bin/bash
# The guest's first process, started by the initrd that vm.sh makes: never to be run on a host.
[ $$ = 1 ] || exit 1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
mkdir -p "$PLUTONIUM_SHARE" /lib/modules
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share "$PLUTONIUM_SHARE"
mount --bind "$PLUTONIUM_MODULES" /lib/modules
modprobe -a -q aesni_intel authenc authencesn blowfish_generic camellia_generic cast5_generic ccm chacha20poly1305 \
	chacha_x86_64 cmac ctr des_generic drbg echainiv gcm jitterentropy_rng poly1305_x86_64 rmd160 seqiv serpent_generic sha256_ssse3 \
	sha512_generic sha512_ssse3 twofish_generic xcbc esp4 esp6 xfrm_user veth
ip link set lo up
echo "$(dirname "$(readlink -f "$0")")/guest_modprobe.sh" >/proc/sys/kernel/modprobe
for out in /dev/vport*p1; do :; done
setsid -w bash "$PLUTONIUM_SHARE/$PLUTONIUM_NUMBER/command" </dev/null >"$out" 2>&1
echo $? >"$PLUTONIUM_SHARE/$PLUTONIUM_NUMBER/status"
sync
echo o >/proc/sysrq-trigger
while :; do :; done # the root may be gone: nothing to execute
