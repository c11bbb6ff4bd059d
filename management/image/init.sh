#!/bin/busybox sh
# PID 1 of the trial image. Says on the serial line when it is up and each time a disk or a nic comes or goes,
# and offers a shell there. It must never end.
export PATH=/bin
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

while read -r module; do
    insmod "/modules/$module" || echo "trial: cannot load $module"
done </modules/order

devices() {
    disks=$(cd /sys/block && echo *)
    nets=$(cd /sys/class/net && echo *)
    echo "disks: $disks nets: $nets"
}

echo "trial: ready after $(cut -d' ' -f1 /proc/uptime) s"

(
    before=
    while :; do
        now=$(devices)
        if [ "$now" != "$before" ]; then
            echo "trial: $now"
            before=$now
        fi
        sleep 0.2
    done
) &

while :; do
    sh </dev/ttyS0 >/dev/ttyS0 2>&1
    sleep 1
done
