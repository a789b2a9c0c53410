#!/usr/bin/env bash
# host.sh NAME FOLDER SEEN...: turns new namespaces into a host, and becomes its process 1, sshd.
# Its file system is a tmpfs, in which this machine's system folders and the folders SEEN are mounted read-only.
# /root is FOLDER/root, which survives a power-off as a disk does.
set -euo pipefail
name=$1 folder=$2
shift 2

mkdir -p "$folder/mnt"
mount -t tmpfs tmpfs "$folder/mnt"
cd "$folder/mnt"
mkdir -p proc sys dev root run/sshd var/log var/empty old
mkdir -m 1777 tmp
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/shm  # for Ray's object store
mount --bind "$folder/root" root
for path in /bin /sbin /lib /lib64; do  # these are links into /usr on most systems
  [[ -L $path ]] && cp -P "$path" ".$path"
done
for path in /usr /etc /bin /sbin /lib /lib64 "$@"; do
  [[ -L .$path || ! -d $path ]] && continue
  mkdir -p ".$path"
  mount -o bind,ro "$path" ".$path"
done
mount --bind "$folder/../names" etc/hosts  # without a route, Ray looks up its own address by host name
hostname "$name"

chmod 755 .
pivot_root . old
umount --lazy /old
cd /root
exec /usr/sbin/sshd -D -e -f /dev/null -o HostKey="$PWD/.ssh/host_key" -o UsePAM=no -o StrictModes=no -o PrintLastLog=no \
  -o MaxStartups=100 -o MaxSessions=100 -o PidFile=none
