#!/bin/sh
# Becomes a machine of its own, with an empty network, and folders /etc, /opt, /storage and /tmp that may be written to and vanish.
# $1: an empty folder; $2…: folders outside of /usr and the like that are there too, under their own names.
set -eu
root=$1
shift
mount -t tmpfs none "$root"
for folder in /*; do
  case $folder in /etc | /opt | /proc | /storage | /tmp) continue ;; esac
  if [ -L "$folder" ]; then cp -P "$folder" "$root$folder"; fi
  if [ -d "$folder" ] && [ ! -L "$folder" ]; then
    mkdir "$root$folder"
    mount --rbind "$folder" "$root$folder" 2>/dev/null || true
  fi
done
for folder in etc opt proc storage tmp .changes .work; do mkdir "$root/$folder"; done
chmod 1777 "$root/tmp"
mount --rbind /proc "$root/proc"
# Beside the real one, which only root could change.
echo "127.0.0.1 localhost prometheus prombackupserver k8s-worker5" >"$root/.changes/hosts"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$root/.changes,workdir=$root/.work" "$root/etc"
for folder; do
  if [ ! -d "$root$folder" ]; then
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  fi
done
ip link set lo up
# Only now is its root another one.
exec chroot "$root" sh -c 'echo ready && exec sleep 3600'
