#!/usr/bin/env bash
# Ceph's object gateway on loopback, without root and without disks: one monitor, one OSD in memory, one gateway.
#
#   ceph_gateway.sh fetch PACKAGES           Debian's packages, downloaded with apt-get and unpacked with dpkg -x (290 MB)
#   ceph_gateway.sh start PACKAGES DATA PORT starts it with the key slim-test-key; up in some 20 s, 220 MB of memory
#   ceph_gateway.sh gateway PACKAGES DATA    starts the gateway again, after it was killed
#   ceph_gateway.sh stop DATA
#
# The monitor listens on PORT+1 and PORT+2. Process numbers are in DATA/*.pid. Sources: ceph-mon(8), ceph-osd(8), radosgw(8).
set -euo pipefail

fetch() {
    mkdir -p "$1/debs" && cd "$1/debs"
    local wanted=(ceph-mon ceph-osd radosgw ceph-common python3-ceph-argparse) name
    # Recursively, since what is installed here may be there in name only.
    mapfile -t wanted < <(
        apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
            "${wanted[@]}" | grep -E '^(ceph|radosgw|lib(rados|rbd|rgw|cephfs|boost|ibverbs|rdmacm|pmem|ndctl|daxctl|rabbitmq|rdkafka)|lib(lua5.3|fmt|leveldb|snappy|aio|fuse2|nl-|babeltrace1|google-perftools|tcmalloc|oath)|python3-(ceph|rados|rbd|rgw|prettytable))' | sort -u
    )
    apt-get download -qq "${wanted[@]}"
    for name in *.deb; do dpkg -x "$name" ..; done
}

use() {
    packages=$(realpath "$1") data=$(realpath -m "$2")
    local lib=$packages/usr/lib/x86_64-linux-gnu
    export LD_LIBRARY_PATH=$packages/lib/x86_64-linux-gnu:$lib:$lib/ceph:$packages/usr/lib
    export PATH=$packages/usr/bin:$PATH PYTHONPATH=$packages/usr/lib/python3/dist-packages
    export CEPH_CONF=$data/ceph.conf
}

key() { ceph-authtool "$data/keyring" "$@" > "$data/log/authtool.out"; }

gateway() {
    nohup radosgw -c "$CEPH_CONF" -n client.admin -f > "$data/log/rgw.out" 2>&1 & echo $! > "$data/rgw.pid"
    local port
    port=$(sed -n 's/^rgw frontends = .*://p' "$CEPH_CONF")
    for _ in $(seq 60); do curl -s -o "$data/log/curl.out" "http://127.0.0.1:$port" && return; sleep 0.5; done
    echo "the gateway doesn't answer" >&2; return 1
}

start() {
    local port=$1 id lib=$packages/usr/lib/x86_64-linux-gnu addresses
    mkdir -p "$data"/{mon,osd,run,log}
    id=$(cat /proc/sys/kernel/random/uuid)
    addresses="[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]"
    cat > "$CEPH_CONF" <<CONF
[global]
fsid = $id
mon host = $addresses
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $data/keyring
run dir = $data/run
admin socket = $data/run/\$name.\$pid.asok
log to file = true
mon cluster log file = $data/log/cluster.log
log file = $data/log/\$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 500
osd crush chooseleaf type = 0
plugin dir = $lib/ceph
erasure code dir = $lib/ceph/erasure-code
osd class dir = $packages/usr/lib/x86_64-linux-gnu/rados-classes
mon data = $data/mon
osd data = $data/osd
osd objectstore = memstore
memstore device bytes = 2147483648
setuser match path = $data
[client.admin]
rgw frontends = beast endpoint=127.0.0.1:$port
rgw enable usage log = false
CONF
    key --create-keyring --gen-key -n mon. --cap mon 'allow *'
    key --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    key --gen-key -n osd.0 --cap mon 'allow *' --cap osd 'allow *'
    monmaptool --create --addv a "$addresses" --fsid "$id" "$data/monmap" > "$data/log/monmap.out"
    ceph-mon -c "$CEPH_CONF" --mkfs -i a --monmap "$data/monmap" --keyring "$data/keyring"
    nohup ceph-mon -c "$CEPH_CONF" -i a -f > "$data/log/mon.out" 2>&1 & echo $! > "$data/mon.pid"
    id=$(cat /proc/sys/kernel/random/uuid)
    printf '{"cephx_secret": "%s"}' "$(ceph-authtool "$data/keyring" -n osd.0 --print-key)" > "$data/secrets.json"
    sleep 2
    # It names the OSD, and then says that its key is there already: it is the one that it was given.
    python3 "$packages/usr/bin/ceph" -c "$CEPH_CONF" --connect-timeout 30 osd new "$id" 0 -i "$data/secrets.json" \
        > "$data/log/osd-new.out" 2>&1 || true
    ceph-osd -c "$CEPH_CONF" -i 0 --mkfs --osd-uuid "$id" > "$data/log/mkfs.out" 2>&1
    nohup ceph-osd -c "$CEPH_CONF" -i 0 -f > "$data/log/osd.out" 2>&1 & echo $! > "$data/osd.pid"
    gateway
    radosgw-admin -c "$CEPH_CONF" user create --uid=slim --display-name=slim --access-key=slim-test-key \
        --secret=slim-test-secret > "$data/user.json" 2> "$data/log/user.out"
}

stop() {
    local file
    for file in "$1"/{rgw,osd,mon}.pid; do
        [[ -f $file ]] && kill -9 "$(cat "$file")" 2>/dev/null || true
    done
}

case ${1-} in
    fetch) fetch "$2" ;;
    start) use "$2" "$3"; start "$4" ;;
    gateway) use "$2" "$3"; gateway ;;
    stop) stop "$2" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
