# SPDX-License-Identifier: Apache-2.0
# Runs /run/guest/command in a test guest and tells the host how it went; process 1 unless systemd is.
# Ports: `out` and `err` are the command's streams, each ended by MARK; `ctl` has lines (`begin`, `file SIZE` and
# that many bytes of a tar archive, `missing PATH`, `status N`).
cd /run/guest || exit 1
. ./guest.conf
mkdir bin
/run/guest/busybox --install -s /run/guest/bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
tools=/run/guest/bin

port() {
	for directory in /sys/class/virtio-ports/*; do
		read -r name <"$directory/name"
		if [ "$name" = "$1" ]; then
			echo "/dev/${directory##*/}"
			return
		fi
	done
}

prepare() {
	$tools/mkdir -p /dev/pts /dev/shm /dev/mqueue
	$tools/mount -t devpts -o mode=620,ptmxmode=666,gid=5 devpts /dev/pts
	$tools/mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
	$tools/mount -t mqueue mqueue /dev/mqueue
	for pair in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
		$tools/ln -sf "/proc/self/${pair#*:}" "/dev/${pair%%:*}"
	done
	$tools/mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
	for controller in $($tools/cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
	done
	$tools/ifconfig lo 127.0.0.1 up
	$tools/hostname guest
}

if [ "$INIT" = systemd ]; then
	systemctl is-system-running --wait >/dev/null 2>&1
else
	prepare
fi
# A port can be opened once: programs that open /dev/stdout again need a pipe before it.
$tools/mkfifo out err
$tools/cat out >"$(port out)" &
$tools/cat err >"$(port err)" &
exec 3>"$(port ctl)" 5<>out 6<>err
echo begin >&3
cd "$DIRECTORY" || cd /
$tools/setsid /run/guest/command </dev/null >&5 2>&6 3>&- 5>&- 6>&- &
wait $!
status=$?
cd /run/guest || exit 1
printf '%s' "$MARK" >&5
printf '%s' "$MARK" >&6
while read -r path; do
	[ -n "$path" ] || continue
	if [ ! -e "$path" ] && [ ! -L "$path" ]; then
		echo "missing $path" >&3
	elif $tools/tar -cf /var/tmp/guest-file -C "$($tools/dirname "$path")" "$($tools/basename "$path")"; then
		echo "file $($tools/stat -c %s /var/tmp/guest-file)" >&3
		$tools/cat /var/tmp/guest-file >&3
		$tools/rm /var/tmp/guest-file
	else
		echo "missing $path" >&3
	fi
done <<-LIST
	$COPIES
LIST
echo "status $status" >&3
# The host ends the machine.
while :; do
	$tools/sleep 3600
done
