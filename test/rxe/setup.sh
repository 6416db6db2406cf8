# Sets the virtual machine up, on the host's own root file system: file systems, names, network, the RDMA device.
# Silent when all went well; every line that it prints is a failure.
mkdir -p /dev/pts /dev/shm /lib/modules
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
mount --bind "$KVWIRE_MODULES" /lib/modules
echo "$KVWIRE_NAME" >/proc/sys/kernel/hostname
echo "$KVWIRE_HOSTS" | tr ',=' '\n ' >>/etc/hosts

# rdma_rxe asks the kernel's crypto API for crc32 and does not pull the module in by itself.
modprobe -a crc32_generic rdma_rxe
ip link set lo up
if [ "$KVWIRE_NIC" = dummy ]; then
  modprobe dummy
  ip link add net0 type dummy
else
  modprobe -a virtio_net sch_netem
  ip link set eth0 name net0
fi
ip link set net0 mtu 4200 up
ip address add "$KVWIRE_ADDRESS/24" dev net0
rdma link add rxe0 type rxe netdev net0
