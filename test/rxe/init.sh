#!/bin/busybox sh
# Process 1 of the virtual machine, in the initramfs: mounts the host's root file system read-only with an overlay in
# memory on top, sets the machine up in it and runs the agent. The KVWIRE_* variables come from the kernel command line.
busybox=/bin/busybox
$busybox mkdir -p /proc /sys /dev /lower /upper /root
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev

fail() {
  echo "kvwire: $1" >/dev/console
  $busybox poweroff -f
}

while read -r module; do
  $busybox insmod "/modules/$module" || fail "cannot load $module"
done </modules/order

$busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /lower || fail "cannot mount 9p"
$busybox mount -t tmpfs -o mode=755 upper /upper
$busybox mkdir /upper/files /upper/work
$busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root ||
  fail "cannot mount the overlay"
for tree in proc sys dev; do $busybox mount --move /$tree /root/$tree; done
$busybox cp /setup.sh /root/run/kvwire-setup.sh

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ulimit -l unlimited
ulimit -n 65536
# Bun starts while the set-up runs; it reads the set-up's complaints from its standard input.
$busybox chroot /root /bin/sh /run/kvwire-setup.sh 2>&1 </root/dev/null |
  $busybox chroot /root "$KVWIRE_BUN" "$KVWIRE_AGENT" >/root/dev/console 2>&1
fail "the agent ended"
