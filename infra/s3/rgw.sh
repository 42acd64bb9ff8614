#!/usr/bin/env bash
# A real S3 server for tests: Ceph's gateway with one monitor and one disk daemon, on loopback, from Debian's packages.
#
#   rgw.sh install DIR   fetch and unpack what is needed (66 MB to fetch, about 400 MB on disk); nothing is installed
#   rgw.sh start DIR     start it, make its user on the first start, wait until it answers
#   rgw.sh stop DIR      stop what start began
#   rgw.sh wipe DIR      stop it and drop its data, keeping the programs
#   rgw.sh user DIR NAME KEY SECRET   another user, who owns nothing and may do what a bucket's policy lets them
#
# Objects outlive stop, start and kill -9. Address http://127.0.0.1:$RGW_PORT, keys $RGW_KEY and $RGW_SECRET.
set -euo pipefail

RGW_PORT=${RGW_PORT:-8087}
MON_PORT=${MON_PORT:-6797}
RGW_KEY=${RGW_KEY:-test}
RGW_SECRET=${RGW_SECRET:-testtest}
command=${1:?install, start, stop, wipe or user}
mkdir -p "${2:?a folder}"
home=$(cd "$2" && pwd)
programs=$home/programs
state=$home/state
conf=$state/ceph.conf

die() { echo "rgw.sh: $*" >&2; exit 1; }

install_programs() {
    [ -x "$programs/usr/bin/radosgw" ] && return
    command -v apt-get >/dev/null || die "needs apt-get: Debian's packages are what it unpacks"
    local fetched names
    fetched=$(mktemp -d "$home/fetched.XXXX")
    names=$(apt-get install --simulate --no-install-recommends radosgw ceph-mon ceph-osd | awk '$1 == "Inst" {print $2}')
    [ -n "$names" ] || die "apt knows no radosgw, or has it installed elsewhere: run apt-get update first"
    # shellcheck disable=SC2086
    (cd "$fetched" && apt-get download -qq $names) || die "the packages could not be fetched"
    for package in "$fetched"/*.deb; do dpkg -x "$package" "$programs.new"; done
    rm -rf "$fetched"
    mv "$programs.new" "$programs"
}

use_programs() {
    [ -x "$programs/usr/bin/radosgw" ] || die "not installed: rgw.sh install $home"
    local folders
    folders=$(find "$programs" -name '*.so*' -printf '%h\n' | sort -u | grep -Ev 'python|perl' | paste -sd:)
    export LD_LIBRARY_PATH=$folders PYTHONPATH=$programs/usr/lib/python3/dist-packages
}

configure() {
    local id plugins
    id=$(cat /proc/sys/kernel/random/uuid)
    plugins=$(dirname "$(find "$programs" -type d -name erasure-code | head -n 1)")
    cat > "$conf" <<EOF
[global]
fsid = $id
mon_initial_members = a
mon_host = v1:127.0.0.1:$MON_PORT/0
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv4 = true
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_memory_target = 1073741824
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
run_dir = $state/run
admin_socket = $state/run/\$name.asok
log_file = $state/\$name.log
plugin_dir = $plugins
erasure_code_dir = $plugins/erasure-code
osd_class_dir = $(dirname "$plugins")/rados-classes
[mon.a]
mon_data = $state/mon
[osd.0]
osd_data = $state/osd
osd_objectstore = bluestore
bluestore_block_size = 10737418240
[client.rgw]
rgw_data = $state/rgw
rgw_frontends = beast endpoint=127.0.0.1:$RGW_PORT
rgw_thread_pool_size = 64
EOF
    "$programs/usr/bin/monmaptool" --create --fsid "$id" --addv a "[v1:127.0.0.1:$MON_PORT/0]" "$state/monmap" >/dev/null
    "$programs/usr/bin/ceph-mon" --mkfs -i a --monmap "$state/monmap" -c "$conf"
}

# Debian's own Python: the cluster's command needs the modules that were unpacked for it.
ceph() { timeout 60 /usr/bin/python3 "$programs/usr/bin/ceph" -c "$conf" "$@" 2>>"$state/ceph.err"; }

daemon() {
    local name=$1
    shift
    setsid "$@" -c "$conf" -f >"$state/$name.out" 2>&1 </dev/null &
    echo $! >"$state/$name.pid"
}

alive() { [ -f "$state/$1.pid" ] && kill -0 "$(cat "$state/$1.pid")" 2>/dev/null; }

ours() {  # a number that was kept over a reboot may be anybody's
    [ -f "$state/$1.pid" ] || return
    [[ $(readlink "/proc/$(cat "$state/$1.pid")/exe") == "$(realpath -m "$programs")"/* ]]
}

make_disk() {
    local id
    id=$(cat /proc/sys/kernel/random/uuid)
    "$programs/usr/bin/ceph-osd" -i 0 --mkfs --osd-uuid "$id" -c "$conf" >"$state/mkfs.out" 2>&1
    ceph osd new "$id" >/dev/null
    ceph osd crush add osd.0 1.0 host=local root=default >/dev/null
}

start_disk() {
    for _ in 1 2 3 4 5; do  # it gives up when it speaks before it has the monitor's map
        daemon osd "$programs/usr/bin/ceph-osd" -i 0
        for _ in $(seq 30); do
            alive osd || break
            ceph osd stat | grep -q '1 up' && return
            sleep 1
        done
    done
    die "the disk daemon does not come up: see $state/osd.out"
}

answers() {
    /usr/bin/python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$RGW_PORT/', timeout=2)" 2>/dev/null
}

start() {
    use_programs
    ours rgw && answers && return
    stop
    local fresh=
    if [ ! -f "$state/made" ]; then
        fresh=yes
        rm -rf "$state"
        mkdir -p "$state"/{mon,osd,run,rgw}
        configure
    fi
    daemon mon "$programs/usr/bin/ceph-mon" -i a
    sleep 2
    [ -z "$fresh" ] || make_disk
    start_disk
    daemon rgw "$programs/usr/bin/radosgw" -n client.rgw
    for _ in $(seq 120); do answers && break || sleep 0.5; done
    answers || die "the gateway does not answer: see $state/rgw.out"
    if [ -n "$fresh" ]; then
        "$programs/usr/bin/radosgw-admin" -c "$conf" user create --uid=test --display-name=test \
            --access-key="$RGW_KEY" --secret-key="$RGW_SECRET" >/dev/null 2>>"$state/ceph.err"
        touch "$state/made"
    fi
}

stop() {
    for name in rgw osd mon; do
        ours "$name" || { rm -f "$state/$name.pid"; continue; }
        kill "$(cat "$state/$name.pid")"
        for _ in $(seq 40); do ours "$name" && sleep 0.25; done
        ! ours "$name" || kill -9 "$(cat "$state/$name.pid")"
        rm -f "$state/$name.pid"
    done
}

user() {
    use_programs
    "$programs/usr/bin/radosgw-admin" -c "$conf" user info --uid="$1" >/dev/null 2>&1 && return
    "$programs/usr/bin/radosgw-admin" -c "$conf" user create --uid="$1" --display-name="$1" \
        --access-key="$2" --secret-key="$3" >/dev/null 2>>"$state/ceph.err"
}

case $command in
    install) install_programs ;;
    start) start ;;
    stop) stop ;;
    wipe) stop; rm -rf "$state" ;;
    user) user "${3:?a name}" "${4:?its key}" "${5:?its secret}" ;;
    *) die "no such command: $command" ;;
esac
