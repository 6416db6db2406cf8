#!/bin/busybox sh
# Process 1 of the virtual machine, in the initramfs. It makes the host's root file system, read-only, with an overlay
# in memory on top, into the machine's own, makes the RDMA device and runs the guest program. Everything that can be
# done with busybox and the modules of the initramfs is: a program from the host comes through two layers of emulation.
# The KVWIRE_* variables come from the kernel command line.
busybox=/bin/busybox

load() {
  while read -r module; do
    $busybox insmod "/modules/$module" || echo "cannot load $module"
  done <"/modules/$1"
}

mount_root() {
  $busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /lower
  $busybox mount -t tmpfs -o mode=755 upper /upper
  $busybox mkdir /upper/files /upper/work
  $busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root
}

# An Ethernet device under the name net$1, and an RDMA device on it.
add_rail() {
  $busybox ip link set "$2" name "net$1"
  $busybox ip link set "net$1" mtu 4200 up
  $busybox ip address add "$3/24" dev "net$1"
  $busybox chroot /root rdma link add "rxe$1" type rxe netdev "net$1"
}

# Silent when all went well: the guest program takes every line for a complaint.
set_up() {
  $busybox mkdir -p /root/dev/pts /root/dev/shm /root/lib/modules
  $busybox mount -t devpts -o mode=620,ptmxmode=666 devpts /root/dev/pts
  $busybox mount -t tmpfs -o mode=1777 shm /root/dev/shm
  $busybox mount --bind "/root$KVWIRE_MODULES" /root/lib/modules
  $busybox ln -sf /proc/self/fd /root/dev/fd
  $busybox ln -sf /proc/self/fd/0 /root/dev/stdin
  $busybox ln -sf /proc/self/fd/1 /root/dev/stdout
  $busybox ln -sf /proc/self/fd/2 /root/dev/stderr
  $busybox hostname "$KVWIRE_NAME"
  echo "$KVWIRE_HOSTS" | $busybox tr ',=' '\n ' >>/root/etc/hosts

  load device.order
  $busybox ip link set lo up
  [ -d "/root/sys/class/net/${KVWIRE_NIC}1" ] || $busybox chroot /root ip link add "${KVWIRE_NIC}1" type dummy
  add_rail 0 "${KVWIRE_NIC}0" "$KVWIRE_ADDRESS"
  add_rail 1 "${KVWIRE_NIC}1" "$KVWIRE_SECOND_ADDRESS"
}

$busybox mkdir -p /proc /sys /dev /lower /upper /root /sbin
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
load boot.order
mount_root
for tree in proc sys dev; do $busybox mount --move /$tree /root/$tree; done

# The kernel asks for modules from this root, not from the one that the guest program is in.
printf '#!%s sh\nexec %s chroot /root /sbin/modprobe "$@"\n' $busybox $busybox >/sbin/modprobe
$busybox chmod 755 /sbin/modprobe
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ulimit -l unlimited
ulimit -n 65536
# Bun starts while the set-up runs; it reads the complaints from its standard input.
set_up 2>&1 </root/dev/null | $busybox chroot /root "$KVWIRE_BUN" "$KVWIRE_GUEST" >/root/dev/console 2>&1
echo "kvwire: the guest program ended" >/root/dev/console
$busybox poweroff -f
