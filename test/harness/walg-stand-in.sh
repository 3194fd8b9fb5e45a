#!/bin/sh
# Stands in for wal-g: replays what lies in $WALG_STAND_IN, and misbehaves as told there.
#   NAME.stdout NAME.stderr NAME.status   the answer to a command
#   NAME.behaviour                        hang, stubborn, holder
# NAME is the command's words without options, joined by dashes, a slash being one too; `backup-list` without --detail is `backup-list-short`,
# `wal-show` --without-backups is `wal-show-without-backups`.
name=
detail=short
backups=
for word in "$@"; do
  case $word in
    --config) break ;;
    --detail) detail=detail ;;
    --version) name=version ;;
    --without-backups) backups=-without-backups ;;
    -*) ;;
    */*) name=$name-${word%%/*}-${word##*/} ;;
    *) name=${name:+$name-}$word ;;
  esac
done
[ "$name" = backup-list ] && [ $detail = short ] && name=backup-list-short
name=$name$backups
cd "$WALG_STAND_IN" || exit 1
echo "$name: $*" >> calls
[ -e record-environment ] && env > environment
behaviour=$(cat "$name.behaviour" 2>/dev/null)
case $behaviour in
  hang) echo $$ >> processes; exec sleep 3600 ;;
  stubborn)
    trap '' TERM
    sleep 3600 &
    echo "$$ $!" >> processes
    wait ;;
  holder)
    sleep 3600 2>/dev/null &
    echo $! >> processes ;;
esac
[ -e "$name.stderr" ] && cat "$name.stderr" >&2
[ -e "$name.stdout" ] && cat "$name.stdout"
exit "$(cat "$name.status" 2>/dev/null || echo 0)"
