#!/bin/sh
# What a release engineer without Sealift would ship: the same files, packages, environment, database, unit and commands,
# and nothing beyond: no signature, no journal, no undo. Called as: install_peer.sh fresh|upgrade|rollback VERSION
set -eu
what=$1 version=$2
from=/root/peer/$version release=/opt/sealift/releases/$2 data=/var/lib/sealift

server() { as_sealift "$release/venv/bin/sealift-server" --config /etc/sealift/server.toml "$@"; }

as_sealift() { runuser -u sealift -- env HOME=$data "$@"; }

lay_down() {
    mkdir -p "$release"
    tar -C "$release" -xf "$from/release.tar"
    dnf -q -y --noplugins --refresh --setopt=reposdir="$from" --setopt=install_weak_deps=0 install \
        qemu-utils sqlite3 dnsmasq-base
    python3 -m venv --without-pip "$release/venv"
    pip=$(echo "$release"/tools/pip-*.whl)
    "$release/venv/bin/python" "$pip/pip" install -q --disable-pip-version-check --no-cache-dir \
        --root-user-action=ignore --no-index --find-links "$release/wheels/server" --require-hashes \
        -r "$release/wheels/server/requirements.txt"
}

configure() {
    install -m 640 -g sealift "$from/server.toml" /etc/sealift/server.toml
    install -d -o sealift "$data/images"
    ln -f "$release/images/trial.qcow2" "$(sed -n 's/.*"path": "\(.*\)".*/\1/p' "$from/images.json")"
    cp "$from/images.json" "$data/images/images.json"
    server migrate
    server make-certificates
}

start() {
    cp "$from/sealift-server.service" "$from/sealift-repository.service" /etc/systemd/system/
    systemctl daemon-reload
    for command in sealift-cli sealift-server; do
        ln -sfn "/opt/sealift/current/venv/bin/$command" "/usr/local/bin/$command"
    done
    ln -sfn "releases/$version" /opt/sealift/current
    systemctl enable -q --now sealift-server sealift-repository
    sync -f /opt/sealift
}

case $what in
fresh)
    useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin sealift
    lay_down
    install -d -m 750 -g sealift /etc/sealift
    install -d -m 750 -o sealift -g sealift "$data" /var/log/sealift
    install -d -m 700 -o sealift "$data/keys"
    install -d -m 700 /root/.ssh
    mkdir -p /usr/local/bin
    as_sealift ssh-keygen -q -t ed25519 -N "" -f "$data/keys/id_ed25519"
    cat "$data/keys/id_ed25519.pub" >>/root/.ssh/authorized_keys
    head -c 15 /dev/urandom | base64 >/etc/sealift/admin_password
    chmod 600 /etc/sealift/admin_password
    configure
    server set-admin-password --if-unset </etc/sealift/admin_password
    server register-images "$data/images/images.json"
    start
    ;;
upgrade)
    lay_down
    systemctl stop sealift-server sealift-repository
    cp -p "$data/sealift.db" /root/peer/sealift.db
    cp -p /etc/sealift/server.toml /root/peer/server.toml
    configure
    server register-images "$data/images/images.json"
    start
    ;;
rollback)
    systemctl stop sealift-server sealift-repository
    rm -f "$data"/sealift.db-*
    cp -p /root/peer/sealift.db "$data/sealift.db"
    cp -p /root/peer/server.toml /etc/sealift/server.toml
    start
    ;;
esac
