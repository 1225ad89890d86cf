#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# Process 1 of a test guest's first file system: modules, root, shares, then the root's own init or the job.
# guest.conf says ROOT (disk or share), INIT (job or systemd) and SHARES (directories of the guest, in order).
PATH=/bin
/bin/busybox --install -s /bin
fail() {
	echo "guest-run: $*" >/dev/console
	poweroff -f
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
. /guest.conf
for module in /modules/*.ko; do
	[ -e "$module" ] || continue
	insmod "$module" || fail "insmod $module"
done

[ -z "$SHARED" ] || mount -t virtiofs -o ro guest /share || fail "virtiofs is not there"
if [ "$ROOT" = disk ]; then
	tries=0
	while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do
		usleep 100000
		tries=$((tries + 1))
	done
	mount -t ext4 -o noatime /dev/vda /root || fail "no root file system on /dev/vda"
else
	mkdir /over
	mount -t tmpfs -o mode=755 tmpfs /over
	mkdir /over/upper /over/work
	mount -t overlay -o lowerdir=/share/root,upperdir=/over/upper,workdir=/over/work root /root || fail "no root"
fi

run=/root/run/guest
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /root/run
mkdir -p $run/share $run/over
cp /bin/busybox /job.sh /command /guest.conf $run
mount --move /share $run/share
number=0
for target in $SHARES; do
	mkdir -p "/root$target" $run/over/$number/upper $run/over/$number/work
	mount -t overlay -o "lowerdir=$run/share/$number,upperdir=$run/over/$number/upper,workdir=$run/over/$number/work" \
		share "/root$target" || fail "$target: no overlay"
	number=$((number + 1))
done
if [ "$INIT" = systemd ]; then
	units=/root/run/systemd/system
	mkdir -p $units/multi-user.target.wants
	cat >$units/guest-job.service <<-'UNIT'
		[Unit]
		Description=The command of guest-run

		[Service]
		Type=exec
		ExecStart=/run/guest/busybox sh /run/guest/job.sh
		Delegate=yes
		TasksMax=infinity
		KillMode=process
	UNIT
	ln -s ../guest-job.service $units/multi-user.target.wants/guest-job.service
	# Nobody logs in, and without udev its device would be waited for in vain.
	ln -s /dev/null "$units/serial-getty@ttyS0.service"
	set -- /sbin/init
else
	set -- /run/guest/busybox sh /run/guest/job.sh
fi
for name in proc sys dev; do
	mkdir -p /root/$name
	mount --move /$name /root/$name
done
exec switch_root /root "$@"
